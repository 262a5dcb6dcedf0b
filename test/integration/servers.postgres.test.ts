import { existsSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { postgresVersions, startPostgres, testDatabase } from '../support/servers.ts';

describe.each(postgresVersions)('a PostgreSQL %i of a test', (version) => {
  it('is of that version, decodes logically, and has the contrib types', async () => {
    await using database = await testDatabase(version);
    const [row] = await database.query<{ version: string; level: string }>(
      `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS level`,
    );
    expect(Math.floor(Number(row?.version) / 10_000)).toBe(version);
    expect(row?.level).toBe('logical');
    await database.query('CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext');
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [
      `${database.name}_slot`,
    ]);
  });

  it('keeps data and slots over a crash and a restart, and takes everything away at the end', async () => {
    const server = await startPostgres({ version });
    try {
      await server.query('CREATE TABLE kept AS SELECT 1 AS id');
      await server.query(`SELECT pg_create_logical_replication_slot('kept', 'pgoutput')`);
      const before = server.url;
      await server.crash();
      await expect(server.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      await server.start();
      expect(await server.query('SELECT id FROM kept')).toEqual([{ id: 1 }]);
      await server.restart();
      expect(await server.query('SELECT slot_name FROM pg_replication_slots')).toEqual([
        { slot_name: 'kept' },
      ]);
      expect(server.url).toBe(before);
    } finally {
      await server[Symbol.asyncDispose]();
    }
    expect(existsSync(server.dataDir)).toBe(false);
  });
});

describe('a database of a test', () => {
  it('is dropped together with its slots', async () => {
    const database = await testDatabase(18);
    const slot = `${database.name}_slot`;
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    await database.drop();
    await using other = await testDatabase(18);
    expect(
      await other.query('SELECT slot_name FROM pg_replication_slots WHERE slot_name = $1', [slot]),
    ).toEqual([]);
    expect(await other.query('SELECT 1 FROM pg_database WHERE datname = $1', [database.name])).toEqual([]);
  });
});

describe('a secured PostgreSQL', () => {
  it('asks for the password and speaks TLS with the certificates it names', async () => {
    await using server = await startPostgres({
      version: 18,
      password: 'correct horse',
      tls: true,
      hba: ['hostssl all all 127.0.0.1/32 scram-sha-256'],
    });
    const { readFile } = await import('node:fs/promises');
    const ca = await readFile(server.certificates!.ca, 'utf8');
    const connect = async (url: string, ssl: pg.ClientConfig['ssl']): Promise<unknown> => {
      const client = new pg.Client({ connectionString: url, ssl });
      await client.connect();
      const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      await client.end();
      return rows;
    };
    expect(await connect(server.url, { ca })).toEqual([{ ssl: true }]);
    await expect(connect(server.urlFor({ password: 'wrong' }), { ca })).rejects.toMatchObject({
      code: '28P01',
    });
    await expect(connect(server.url, false)).rejects.toMatchObject({ code: '28000' });
  });
});
