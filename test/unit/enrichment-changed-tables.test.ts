/** Tables that change while, or between, they are read: only what uses the change feels it. */
import { describe, expect, it } from 'vitest';
import type { TableSchema } from '../../src/model/table.ts';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const id = column('id', INT);
const ORDERS = table('orders', [id, column('customer', INT), column('note', TEXT)], [0]);
const WITHOUT_NOTE = table('orders', [id, column('customer', INT)], [0], 2);
const NOTE_AGAIN = table('orders', [id, column('customer', INT), column('note', TEXT)], [0], 3);
const CUSTOMERS = table('customers', [id, column('club', INT)], [0]);
const CLUB_AS_TEXT = table('customers', [id, column('club', TEXT)], [0], 2);

const SQL = `
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  CREATE STREAM noted AS SELECT id, note FROM orders;
  CREATE STREAM upper AS SELECT id, UCASE(note) AS note FROM noted;
  CREATE TABLE notes AS SELECT note, COUNT(*) AS n FROM orders GROUP BY note;
  CREATE STREAM joined AS SELECT o.id AS id, o.customer, c.club FROM orders o LEFT JOIN customers c
    ON o.customer = c.id PARTITION BY o.id;
  CREATE TABLE clubs AS SELECT club, COUNT(*) AS n FROM customers GROUP BY club;`;

const order = (schema: TableSchema, ...after: (string | number | null)[]): LogTransaction => [
  { table: schema, op: 'c', after },
];

function rigOf(tables: readonly TableSchema[], log: readonly LogTransaction[]): EnrichmentRig {
  return new EnrichmentRig({ sql: SQL, tables, log, snapshotAt: 0 });
}

function shown(rig: EnrichmentRig, from = 0): readonly string[] {
  return rig.committed.slice(from).map(({ topic, value }) => `${topic} ${String(value)}`);
}

describe('a column that is dropped while the log is read', () => {
  it('pauses what uses it and what reads that; the others go on, and all do when it is there again', async () => {
    const log = [
      [{ table: CUSTOMERS, op: 'c', after: [7, 1] } as const, ...order(ORDERS, 1, 7, 'a')],
      order(WITHOUT_NOTE, 2, 7),
      order(NOTE_AGAIN, 3, 7, 'c'),
    ];
    using rig = rigOf([ORDERS, CUSTOMERS], log);
    const attempt = await rig.attempt();
    await attempt.snapshot([CUSTOMERS]);
    await attempt.read(1, () => 10);
    attempt.commit();
    Object.assign(rig.options, { tables: [WITHOUT_NOTE, CUSTOMERS] });
    await expect(attempt.read(2, () => 10)).rejects.toMatchObject({ code: 'enrich.table-changed' });
    await attempt.end();
    let before = rig.committed.length;
    const second = await rig.attempt();
    expect(second.stage.queries().map(({ id, paused }) => [id, paused?.split(': ')[1] ?? null])).toEqual([
      ['CSAS_JOINED_3', null],
      ['CTAS_CLUBS_4', null],
      ['NOTED', 'there is no column NOTE in ORDERS; it has ID, CUSTOMER'],
      ['UPPER', 'there is no stream or table NOTED; create it before it is used'],
      ['NOTES', 'there is no column NOTE in ORDERS; it has ID, CUSTOMER'],
    ]);
    await second.read(2, () => 10);
    second.commit();
    await second.end();
    expect(shown(rig, before)).toEqual(['JOINED {"CUSTOMER":7,"CLUB":1}']);
    expect(rig.errors.map(({ statement }) => statement)).toEqual(['NOTED', 'UPPER', 'NOTES']);
    expect(rig.errors[0]?.error).toContain('there is no column NOTE in ORDERS');
    expect(rig.errors[1]?.error).toContain('there is no stream or table NOTED');
    before = rig.committed.length;
    Object.assign(rig.options, { tables: [NOTE_AGAIN, CUSTOMERS] });
    const third = await rig.attempt();
    await rig.load(third);
    await third.read(3, () => 10);
    third.commit();
    await third.end();
    expect(shown(rig, before)).toEqual([
      'NOTED {"NOTE":"c"}',
      'UPPER {"NOTE":"C"}',
      'NOTES {"N":1}',
      'JOINED {"CUSTOMER":7,"CLUB":1}',
    ]);
    expect(rig.warnings.join('\n')).toContain('a statement that was paused goes on');
  });

  it('is an error where the statements were changed too', async () => {
    using rig = rigOf([ORDERS, CUSTOMERS], []);
    const attempt = await rig.attempt();
    await attempt.end();
    Object.assign(rig.options, { tables: [WITHOUT_NOTE, CUSTOMERS], sql: SQL.replace('UCASE', 'LCASE') });
    await expect(rig.attempt()).rejects.toMatchObject({ code: 'enrich.statement-invalid' });
  });
});

describe('a column that gets another type', () => {
  it('of a joined table: it is read again, and the statements are compiled for it', async () => {
    const log = [
      [{ table: CUSTOMERS, op: 'c', after: [7, 1] } as const, ...order(ORDERS, 1, 7, 'a')],
      [{ table: CLUB_AS_TEXT, op: 'u', after: [7, 'one'] } as const, ...order(ORDERS, 2, 7, 'b')],
      order(ORDERS, 3, 7, 'c'),
    ];
    using rig = rigOf([ORDERS, CUSTOMERS], log);
    const attempt = await rig.attempt();
    await attempt.snapshot([CUSTOMERS]);
    await attempt.read(1, () => 10);
    attempt.commit();
    const before = rig.committed.length;
    Object.assign(rig.options, { tables: [ORDERS, CLUB_AS_TEXT] });
    await expect(attempt.read(2, () => 10)).rejects.toMatchObject({ code: 'enrich.table-changed' });
    await attempt.end();
    rig.viewAt = 2;
    const again = await rig.attempt();
    await rig.load(again);
    await again.read(3, () => 1);
    again.commit();
    await again.end();
    const joined = rig.committed.slice(before).filter(({ topic }) => topic === 'JOINED');
    expect(joined.map(({ value }) => value)).toEqual([
      '{"CUSTOMER":7,"CLUB":"one"}',
      '{"CUSTOMER":7,"CLUB":"one"}',
    ]);
    expect(joined.at(-1)?.headers).toBeNull();
    expect(rig.committed.findLast(({ topic }) => topic === 'CLUBS')?.value).toBe('{"N":1}');
    expect(rig.errors).toEqual([]);
  });

  it('before the statements were compiled: older rows are cast, and columns they lack are NULL', async () => {
    const WIDE = table('orders', [id, column('customer', TEXT), column('note', TEXT)], [0], 2);
    const OLD = table('orders', [id, column('customer', INT)], [0]);
    const log = [order(OLD, 1, 7), order(WIDE, 2, 'x', 'n')];
    using rig = new EnrichmentRig({
      sql: `CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
        CREATE STREAM a AS SELECT id, customer, note FROM orders;`,
      tables: [WIDE],
      log,
      snapshotAt: 0,
    });
    const attempt = await rig.attempt();
    await attempt.read(2, () => 10);
    attempt.commit();
    await attempt.end();
    expect(shown(rig)).toEqual(['A {"CUSTOMER":"7","NOTE":null}', 'A {"CUSTOMER":"x","NOTE":"n"}']);
    expect(rig.warnings.join('\n')).toContain('rows of an older version of the table are cast');
  });
});
