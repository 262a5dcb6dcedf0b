import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { describeTables, type PgTable } from '../../src/readers/postgres/catalogue.ts';
import { loadTypeRegistry, type Query } from '../../src/readers/postgres/types/type-registry.ts';
import { postgresVersions, testDatabase } from '../support/servers.ts';

const TABLES = `
CREATE TYPE mood AS ENUM ('b', 'a');
CREATE DOMAIN small AS numeric(4,1);
CREATE DOMAIN required_small AS small NOT NULL;
CREATE TABLE composite (c text, b int, gone int, a bigint, v text, PRIMARY KEY (a, c, b) INCLUDE (v));
ALTER TABLE composite DROP COLUMN gone;
CREATE TABLE types (e mood, n numeric(10,2) DEFAULT 1, d small, r required_small, x int[][], v varchar(9) NOT NULL, s serial, i int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE generated (id int PRIMARY KEY, doubled int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE by_index (id int PRIMARY KEY, u text NOT NULL UNIQUE);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_u_key;
CREATE TABLE whole (id int PRIMARY KEY, v text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE keyless (v text);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE "odd ""'name" ("k""'" int PRIMARY KEY);`;

describe.each(postgresVersions)('PostgreSQL %s', (version) => {
  test('tables as the catalogue has them', async () => {
    await using database = await testDatabase(version);
    await database.query(TABLES);
    const client = new pg.Client({
      connectionString: database.url,
      types: { getTypeParser: () => (text: string) => text },
    });
    await client.connect();
    try {
      const query: Query = async (sql) =>
        (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;
      const registry = await loadTypeRegistry(query);
      const found = async (table: string, generatedColumns: 'stored' | 'none' = 'none'): Promise<PgTable> => {
        const tables = await describeTables(
          query,
          registry,
          { ids: [{ schema: 'public', table }] },
          { generatedColumns },
        );
        expect(tables).toHaveLength(1);
        return tables[0]!;
      };
      const names = ({ schema }: PgTable): string[] => schema.columns.map(({ name }) => name);
      const keyNames = ({ schema }: PgTable): string[] => schema.key.map((i) => schema.columns[i]!.name);

      const composite = await found('composite');
      expect(names(composite)).toEqual(['c', 'b', 'a', 'v']);
      expect(keyNames(composite)).toEqual(['a', 'c', 'b']);
      expect(composite).toMatchObject({
        keyFrom: 'primary',
        replicaIdentity: 'd',
        replicaIdentityColumns: [2, 0, 1],
      });

      expect((await found('types')).schema.columns).toMatchObject([
        { type: { kind: 'enum', values: ['b', 'a'] }, nullable: true },
        { type: { kind: 'decimal', precision: 10, scale: 2 }, default: '1.00', length: 10, scale: 2 },
        { type: { kind: 'decimal', precision: 4, scale: 1 }, nativeType: 'small', nullable: true },
        { type: { kind: 'decimal', precision: 4, scale: 1 }, nullable: false },
        {
          type: { kind: 'array', element: { kind: 'array', element: { kind: 'int32' } } },
          nativeType: '_int4',
        },
        { type: { kind: 'string' }, length: 9, nullable: false },
        { computedDefault: true, default: undefined },
        { nullable: false, default: undefined },
      ]);

      expect(names(await found('generated'))).toEqual(['id']);
      expect((await found('generated')).omittedGenerated).toEqual(['doubled']);
      expect(names(await found('generated', 'stored'))).toEqual(['id', 'doubled']);

      const byIndex = await found('by_index');
      expect(keyNames(byIndex)).toEqual(['u']);
      expect(byIndex).toMatchObject({ keyFrom: 'replica-index', replicaIdentityColumns: [1] });
      expect(await found('whole')).toMatchObject({
        keyFrom: 'primary',
        replicaIdentity: 'f',
        replicaIdentityColumns: [0, 1],
      });
      expect(await found('keyless')).toMatchObject({
        keyFrom: null,
        schema: { key: [] },
        replicaIdentityColumns: [],
      });

      const root = await found('parted');
      expect(root).toMatchObject({ relkind: 'p', partitionRoot: null });
      expect((await found('parted_low')).partitionRoot).toEqual({
        oid: root.oid,
        id: { schema: 'public', table: 'parted' },
      });
      expect(names(await found(`odd "'name`))).toEqual([`k"'`]);

      const byOid = await describeTables(
        query,
        registry,
        { oids: [root.oid, 4_000_000_000] },
        { generatedColumns: 'none' },
      );
      expect(byOid.map(({ oid }) => oid)).toEqual([root.oid]);
      expect(registry.column(4_000_000_000, -1)).toBeNull();
    } finally {
      await client.end();
    }
  });
});
