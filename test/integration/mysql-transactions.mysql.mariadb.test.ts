/** What becomes of the odd endings that a group of events can have. */
import mysql from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { containsGtid, parseGtidSet } from '../../src/readers/mysql/gtid/gtid-set.ts';
import { changesOf, rowsOf } from '../support/mysql-reader.ts';
import { testMariadb, testMysql } from '../support/servers.ts';

const PRODUCTS = [
  { product: 'mysql', open: () => testMysql('9'), executed: 'gtid_executed' },
  { product: 'mariadb', open: () => testMariadb('11.8'), executed: 'gtid_binlog_pos' },
] as const;

describe.each(PRODUCTS)('$product', ({ product, open, executed }) => {
  test('what XA PREPARE has logged is of the transaction that commits it, before which nobody sees it', async () => {
    await using db = await open();
    await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
    let prepared = '';
    const { changes } = await changesOf(
      db,
      async () => {
        const session = await mysql.createConnection({ uri: db.url, multipleStatements: true });
        await session.query(
          `XA START '${db.name}'; INSERT INTO t VALUES (1), (2); XA END '${db.name}'; XA PREPARE '${db.name}'`,
        );
        const [row] = await db.query<{ gtids: string }>(`SELECT @@GLOBAL.${executed} AS gtids`);
        prepared = row!.gtids;
        await session.query(`XA COMMIT '${db.name}'`);
        await session.end();
      },
      { transactionMetadata: true },
    );
    expect(changes.map(({ kind }) => kind)).toEqual(['begin', 'row', 'row', 'end']);
    const ids = new Set(changes.map((change) => change.tx?.id));
    expect(ids.size).toBe(1);
    const set = parseGtidSet(prepared.replaceAll('\n', ''), product)!;
    for (const { tx, at } of rowsOf(changes)) {
      expect(containsGtid(set, tx!.id)).toBe(false);
      expect(at.tx).toBe(tx);
    }
  });
});
