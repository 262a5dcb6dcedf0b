import { expect, test } from 'vitest';
import { Utf8Writer } from '../../src/emitter/encoders/utf8-writer.ts';
import { mysqlSourceBlock } from '../../src/readers/mysql/source-block.ts';
import type { MysqlSource, MysqlTx } from '../../src/readers/mysql/source-info.ts';

const TX: MysqlTx = {
  id: '5a41b503-e571-11f1-9aa3-02fc00000001:546',
  gtid: '5a41b503-e571-11f1-9aa3-02fc00000001:546',
  commitTimeUs: 1_795_241_083_796_266,
  serverId: 97,
  thread: 147,
};
const AT: MysqlSource = {
  connector: 'mysql',
  tx: TX,
  file: 'binlog.000001',
  pos: 247_538,
  row: 1,
  query: 'INSERT "x"',
};
const TABLE = { schema: 'str_connector_test', table: 'products' };

/** As a recording of Debezium 3.2 has it. */
test('a streamed row', () => {
  const text = mysqlSourceBlock('my', 'mysql').forTable(TABLE)(AT, null);
  expect(text).toBe(
    '{"version":"3.2.0.Final","connector":"mysql","name":"my","ts_ms":1795241083796,"snapshot":"false","db":"str_connector_test","sequence":null,"ts_us":1795241083796266,"ts_ns":1795241083796266000,"table":"products","server_id":97,"gtid":"5a41b503-e571-11f1-9aa3-02fc00000001:546","file":"binlog.000001","pos":247538,"row":1,"thread":147,"query":"INSERT \\"x\\""}',
  );
});

test('what changes from row to row is in all forms, whatever was before', () => {
  const block = mysqlSourceBlock('my', 'mariadb');
  const text = block.forTable(TABLE);
  const values = block.valuesForTable(TABLE);
  const write = block.writerForTable!(TABLE);
  const out = new Utf8Writer(64);
  const names = block.schema.fields!.map(({ field }) => field);
  const other: MysqlTx = {
    ...TX,
    id: 'file=f,pos=4',
    gtid: null,
    commitTimeUs: 1_000_000,
    serverId: 0,
    thread: null,
  };
  const rows = [
    AT,
    { ...AT, row: 2 },
    { ...AT, pos: 300_000, row: 0, query: null },
    { ...AT, tx: other, pos: 300_000 },
    { ...AT, tx: other, file: 'binlog.000002', pos: 300_000 },
    AT,
  ];
  for (const at of rows) {
    for (const snapshot of [null, 'true'] as const) {
      out.begin();
      write(at, snapshot, out);
      expect(out.end().toString()).toBe(text(at, snapshot));
      const parsed = JSON.parse(text(at, snapshot)) as Record<string, unknown>;
      const expected = values(at, snapshot).map((value) =>
        typeof value === 'bigint' ? Number(value) : value,
      );
      expect(names.map((name) => parsed[name])).toEqual(expected);
      expect(parsed).toMatchObject({
        pos: at.pos,
        row: at.row,
        query: at.query,
        file: at.file,
        gtid: at.tx.gtid,
      });
    }
  }
  expect(block.transactionId({ ...AT, tx: other })).toBe('file=f,pos=4');
});
