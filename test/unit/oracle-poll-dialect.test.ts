/** Polling, call by call: tables that go away in between, places with NULLs, and columns of queries. */
import { afterEach, describe, expect, test } from 'vitest';
import { valuesOf } from '../../src/model/raw-row.ts';
import { createOraclePolling } from '../../src/readers/oracle/polling.ts';
import type { ConnectOracle } from '../../src/readers/oracle/session/oracle-session.ts';
import {
  type PollDialect,
  type PolledTable,
  type PollScan,
  type PollTableOptions,
  PollTableChanged,
} from '../../src/readers/poll-dialect.ts';
import { compileTablePatterns } from '../../src/readers/table-patterns.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { serverWith, type TableScript } from '../support/oracle/harness.ts';
import { WHOLE } from '../support/oracle/poll-harness.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';

const ID = { schema: 'Q', table: 'ORD' };
const TWO: TableScript = {
  columns: { A: 'NUMBER(9,0)', B: 'VARCHAR2(9)', V: 'VARCHAR2(9)' },
  pk: ['A', 'B'],
};
const ALL: PollScan = { kind: 'all', low: null, after: null, versions: null, limit: 2 };
const never = new AbortController().signal;

let dialect: PollDialect | null = null;
let server: FakeOracle | null = null;

afterEach(async () => {
  await dialect?.[Symbol.asyncDispose]();
  expect(server?.problems()).toEqual([]);
});

function polling(
  script: TableScript,
  options: Partial<PollTableOptions> = {},
  connect?: (of: FakeOracle) => ConnectOracle,
): PollDialect {
  server = serverWith({ 'Q.ORD': script });
  const names = {
    patterns: compileTablePatterns(['Q.*']),
    named: new Set<string>(),
    optionsOf: () => ({ ...WHOLE, ...options }),
    queries: options.query == null ? [] : [ID],
    place: 'the scripted server',
  };
  return (dialect = createOraclePolling({
    connect: connect?.(server) ?? server.connect,
    names,
    pdb: null,
    user: 'POLLER',
    timeZone: null,
    number: (schema) => schema,
  }));
}

/** Rows of TWO: `1 x`, `2` for NULL in B. */
function fill(...rows: readonly string[]): void {
  rows.forEach((row, i) => {
    const [a = '', b = null] = row.split(' ');
    const values = { A: a, B: b, V: `v${i}` };
    server!.tables[0]!.rows.push({ scn: 1500n, rowId: rowIdOf(73_000, 1, i), values });
  });
}

async function described(of: PollDialect): Promise<PolledTable> {
  const [table] = await of.describe([ID], never);
  return table!;
}

async function read(of: PollDialect, table: PolledTable, scan: PollScan = ALL): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const block of of.read(table, scan, never)) {
    for (const { after } of block.rows) rows.push(valuesOf(after)!.slice(0, 2));
  }
  return rows;
}

describe('a table that goes away', () => {
  /** Behind the statement with that text the table is gone. */
  const droppedBehind =
    (part: string) =>
    (of: FakeOracle): ConnectOracle =>
    async (...how) => {
      const session = await of.connect(...how);
      const query = session.query.bind(session);
      session.query = async (sql, binds) => {
        const rows = await query(sql, binds);
        if (sql.includes(part)) of.tables.length = 0;
        return rows;
      };
      return session;
    };

  test('behind the list of tables: it is in it, without a key, and in no other answer', async () => {
    const of = polling(TWO, {}, droppedBehind('FROM ALL_VIEWS'));
    expect(await of.tables(never)).toEqual([{ id: ID, key: null, estimatedRows: 0, limitation: null }]);
    expect(await of.describe([ID], never)).toEqual([]);
  });

  test('while doctor looks: nothing is said of it', async () => {
    const findings = await polling(TWO, {}, droppedBehind('FROM ALL_VIEWS')).preflight(never);
    expect(findings.map(({ check }) => check)).toEqual(['connection', 'running transactions', 'tables']);
  });

  test('what is described anew is another table from then on, also for who is reading', async () => {
    const of = polling(TWO);
    fill('1 x');
    const table = await described(of);
    server!.beforeRead = () => of.forget();
    await expect(read(of, table)).rejects.toThrow(PollTableChanged);
    await expect(read(of, table)).rejects.toThrow(PollTableChanged);
    server!.beforeRead = null;
    await expect(of.keys(table, { after: null, limit: 2 }, never)).rejects.toThrow(PollTableChanged);
    await expect(of.greatest(table, never)).rejects.toThrow(PollTableChanged);
    expect(await read(of, await described(of))).toEqual([[1, 'x']]);
  });
});

describe('places', () => {
  test('keys alone, page by page, to the end', async () => {
    const of = polling(TWO);
    fill('1 x', '1 y', '2 x');
    const table = await described(of);
    const first = await of.keys(table, { after: null, limit: 2 }, never);
    expect(first).toEqual({
      keys: [
        [1, 'x'],
        [1, 'y'],
      ],
      after: ['1', 'y'],
    });
    expect(await of.keys(table, { after: first.after, limit: 2 }, never)).toEqual({
      keys: [[2, 'x']],
      after: null,
    });
  });

  test('NULL in a key comes last, and a page may end there', async () => {
    const of = polling({ ...TWO, pk: [] }, { key: ['A', 'B'] });
    fill('1 x', '1', '2 x', '2', '3 x');
    const rows = [
      [1, 'x'],
      [1, null],
      [2, 'x'],
      [2, null],
      [3, 'x'],
    ];
    expect(await read(of, await described(of))).toEqual(rows);
    await using windows = await of.snapshots().openWindows({ parallelism: 1 }, never);
    const plan = await windows.plan(ID, { chunkRows: 9, where: null }, never);
    const limit = { maxRows: 2, maxBytes: 1_000_000 };
    const chunk = await windows.chunk(plan, { from: null, to: null }, limit, never);
    expect(chunk.lastKey).toBe('["1",""]');
    const next = await windows.chunk(plan, { from: chunk.lastKey, to: null }, limit, never);
    expect(next.rows.map(({ after }) => valuesOf(after)!.slice(0, 2))).toEqual([
      [2, 'x'],
      [2, null],
    ]);
  });

  test('of another key: a scan begins anew, a chunk cannot be gone on with', async () => {
    const of = polling(TWO);
    fill('1 x', '2 x');
    const table = await described(of);
    expect(await read(of, table, { ...ALL, after: ['1'] })).toEqual([
      [1, 'x'],
      [2, 'x'],
    ]);
    await using windows = await of.snapshots().openWindows({ parallelism: 1 }, never);
    const plan = await windows.plan(ID, { chunkRows: 9, where: null }, never);
    const limit = { maxRows: 9, maxBytes: 1_000_000 };
    for (const range of [
      { from: '["1"]', to: null },
      { from: null, to: '["1"]' },
    ]) {
      await expect(windows.chunk(plan, range, limit, never)).rejects.toMatchObject({
        code: 'snapshot.table-unsettled',
      });
    }
  });

  test('rows that a condition of the settings leaves out are not read', async () => {
    const of = polling(TWO, { key: ['A'] });
    fill('1 x', '2', '3 x');
    await using windows = await of.snapshots().openWindows({ parallelism: 1 }, never);
    const plan = await windows.plan(ID, { chunkRows: 9, where: 'T."B" IS NOT NULL' }, never);
    const limit = { maxRows: 9, maxBytes: 1_000_000 };
    const { rows } = await windows.chunk(plan, { from: null, to: null }, limit, never);
    expect(rows.map(({ after }) => valuesOf(after)![0])).toEqual([1, 3]);
  });

  test('an empty table has no greatest value', async () => {
    const of = polling(TWO, { mode: 'incrementing', incrementing: 'A' });
    expect(await of.greatest(await described(of), never)).toBeNull();
    fill('7 x');
    expect(await of.greatest(await described(of), never)).toBe('7');
  });

  test('a key that cannot be put in order: the table is read in one statement', async () => {
    const of = polling({ columns: { A: 'BINARY_DOUBLE', B: 'VARCHAR2(9)' }, pk: ['A'] });
    fill('1 x', '2 x', '3 x');
    const table = await described(of);
    expect(table.order).toEqual([]);
    expect(await read(of, table)).toEqual([
      [1, 'x'],
      [2, 'x'],
      [3, 'x'],
    ]);
  });
});

describe('what is polled', () => {
  test('a segment of an index-organized table is none, and one that was never analysed has no estimate', async () => {
    const of = polling(TWO);
    server!.tables[0]!.neverAnalysed = true;
    server!.tables.push({ ...server!.tables[0]!, name: 'ORD_OVER', iotType: 'IOT_OVERFLOW' });
    expect(await of.tables(never)).toEqual([
      { id: ID, key: ['A', 'B'], estimatedRows: null, limitation: null },
    ]);
  });

  test('columns of a query: national texts are counted in characters, and without a key all may be NULL', async () => {
    const query = 'SELECT n, c FROM t';
    const of = polling(TWO, { query });
    const text = { precision: null, scale: null };
    server!.queries.set(query, {
      columns: [
        { name: 'N', dataType: 'NVARCHAR2', bytes: 21, ...text },
        { name: 'C', dataType: 'VARCHAR2', bytes: 20, ...text },
      ],
      of: 'Q.ORD',
    });
    const { schema } = await described(of);
    expect(schema.columns.map(({ name, length, nullable }) => [name, length, nullable])).toEqual([
      ['N', 10, true],
      ['C', 20, true],
    ]);
  });
});
