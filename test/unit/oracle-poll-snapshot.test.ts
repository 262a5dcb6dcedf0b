/** Snapshots of polled tables: views of one transaction, and chunks of tables that do not stay as they are. */
import { afterEach, describe, expect, test } from 'vitest';
import { valuesOf } from '../../src/model/raw-row.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { PollDialect } from '../../src/readers/poll-dialect.ts';
import { createOraclePolling } from '../../src/readers/oracle/polling.ts';
import { compileTablePatterns } from '../../src/readers/table-patterns.ts';
import type { RowBlock, SnapshotView, TablePlan, WindowReader } from '../../src/snapshot/snapshot-source.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, serverWith } from '../support/oracle/harness.ts';
import { WHOLE as READ_WHOLE } from '../support/oracle/poll-harness.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';

const TWO = { columns: { A: 'NUMBER(9,0)', B: 'VARCHAR2(9)', V: 'VARCHAR2(9)' }, pk: ['A', 'B'] };
const ID = { schema: 'Q', table: 'ORD' };
const WHOLE = { from: null, to: null };
const LIMIT = { maxRows: 100, maxBytes: 1_000_000 };
const never = new AbortController().signal;
const MOVED = 'ORA-01466: unable to read data - table definition has changed';

let polling: (PollDialect & AsyncDisposable) | null = null;
let oracle: FakeOracle | null = null;

function server(rows = 5): FakeOracle {
  const made = serverWith({ 'Q.ORD': TWO });
  for (let i = 1; i <= rows; i++) {
    const values = { A: String(Math.ceil(i / 2)), B: i % 2 === 1 ? 'x' : 'y', V: `v${i}` };
    made.tables[0]!.rows.push({ scn: 1500n, rowId: rowIdOf(73_000, 1, i), values });
  }
  oracle = made;
  return made;
}

function dialect(of: FakeOracle): PollDialect {
  const names = {
    patterns: compileTablePatterns(['Q.*']),
    named: new Set<string>(),
    optionsOf: () => READ_WHOLE,
    queries: [],
    place: 'the scripted server',
  };
  let version = 0;
  return (polling = createOraclePolling({
    connect: of.connect,
    names,
    pdb: null,
    user: 'POLLER',
    timeZone: null,
    number: (schema) => ({ ...schema, version: ++version }),
  }));
}

async function windowsOf(of: FakeOracle): Promise<WindowReader<unknown>> {
  return dialect(of).snapshots().openWindows({ parallelism: 1 }, never);
}

const planOf = (
  reader: Pick<WindowReader<unknown>, 'plan'>,
  where: string | null = null,
): Promise<TablePlan> => reader.plan(ID, { chunkRows: 100, where }, never);

async function blocksOf(view: SnapshotView<unknown>, plan: TablePlan, range = WHOLE): Promise<RowBlock[]> {
  const blocks: RowBlock[] = [];
  for await (const block of view.rows(plan, range, never)) blocks.push(block);
  return blocks;
}

afterEach(async () => {
  await polling?.[Symbol.asyncDispose]();
  polling = null;
  expect(oracle?.problems()).toEqual([]);
});

function alter(of: FakeOracle): void {
  const table = of.tables[0]!;
  table.columns = [...table.columns, fakeColumn('MORE', 'VARCHAR2(9)')];
  table.lastDdl = of.currentScn;
}

describe('a chunk', () => {
  test('goes on behind its last key, of two columns, up to the end of its range', async () => {
    await using windows = await windowsOf(server());
    const plan = await planOf(windows);
    const first = await windows.chunk(plan, WHOLE, { ...LIMIT, maxRows: 3 }, never);
    expect(first.rows.map(({ after }) => valuesOf(after)![2])).toEqual(['v1', 'v2', 'v3']);
    expect(JSON.parse(first.lastKey!)).toEqual(['2', 'x']);
    const middle = await windows.chunk(plan, { from: first.lastKey, to: '["3","w"]' }, LIMIT, never);
    expect(middle.rows.map(({ after }) => valuesOf(after)![2])).toEqual(['v4']);
    expect(middle.lastKey).toBeNull();
    const last = await windows.chunk(plan, { from: '["2","y"]', to: null }, { ...LIMIT, maxBytes: 1 }, never);
    expect(last.rows.map(({ after }) => valuesOf(after)![2])).toEqual(['v5']);
    expect(last.lastKey).toBe('["3","x"]'); // whether that was all is asked for with the next
    const none = await windows.chunk(plan, { from: last.lastKey, to: null }, LIMIT, never);
    expect([none.rows, none.lastKey]).toEqual([[], null]);
    expect(await windows.settled(60_000, never)).toBeNull();
  });

  test('of a table that is altered while it is read: once more, in the shape it has now', async () => {
    const of = server(1);
    await using windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.beforeRead = () => {
      of.beforeRead = null;
      alter(of);
    };
    const chunk = await windows.chunk(plan, WHOLE, LIMIT, never);
    expect(chunk.rows.map(({ after }) => valuesOf(after))).toEqual([[1, 'x', 'v1', null]]);
    expect(chunk.plan.schema.version).toBe(plan.schema.version + 1);
  });

  test.each([MOVED, 'ORA-00904: invalid identifier', 'ORA-08103: object no longer exists'])(
    '%s: looked at again',
    async (message) => {
      const of = server(1);
      await using windows = await windowsOf(of);
      const plan = await planOf(windows);
      of.faults.push({ on: 'READ', message, times: 1, meanwhile: () => alter(of) });
      const { rows } = await windows.chunk(plan, WHOLE, LIMIT, never);
      expect(rows.map(({ after }) => valuesOf(after)!.length)).toEqual([4]);
    },
  );

  test.each<[string, string, (of: FakeOracle) => void]>([
    ['whose key is another by now', 'snapshot.table-unsettled', (of) => (of.tables[0]!.key = ['A'])],
    ['that is gone', 'snapshot.table-unreadable', (of) => void of.tables.pop()],
  ])('of a table %s', async (_, code, meanwhile) => {
    const of = server();
    await using windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({
      on: 'READ',
      message: MOVED,
      times: 1,
      meanwhile: () => {
        alter(of);
        meanwhile(of);
      },
    });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({ code });
  });

  test('of a table that is never the same twice', async () => {
    const of = server();
    await using windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({ on: 'READ', message: MOVED, times: 1_000 });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'snapshot.table-unsettled',
    });
  });

  test('any other error is no reason to look again', async () => {
    const of = server();
    await using windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({ on: 'READ', message: 'ORA-01031: insufficient privileges', times: 1 });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'snapshot.table-unreadable',
    });
  });
});

test('which tables have a key that chunks can be cut by; one that is gone counts as such', async () => {
  const of = server();
  await using windows = await windowsOf(of);
  expect(await windows.keyed([ID, { schema: 'Q', table: 'GONE' }], never)).toEqual([true, true]);
  of.tables[0]!.key = [];
  alter(of);
  expect(await windows.keyed([ID], never)).toEqual([false]);
});

test('a condition of the settings is asked of the server first', async () => {
  const of = server();
  await using windows = await windowsOf(of);
  const plan = await planOf(windows, '"A" IS NOT NULL');
  expect(of.statements.filter((sql) => sql.includes('ROWNUM < 1'))).toHaveLength(1);
  expect(plan).toMatchObject({ by: 'key', chunks: [WHOLE] });
  await expect(planOf(windows, 'nonsense')).rejects.toMatchObject({ code: 'snapshot.where-invalid' });
});

describe('a view', () => {
  const viewOf = async (of: FakeOracle): Promise<SnapshotView<unknown>> => {
    const view = await dialect(of).snapshots().openView({ parallelism: 1 }, never);
    return view!;
  };

  test('shows what was there when it was opened, in blocks of no more than so many rows', async () => {
    const of = server(601);
    await using view = await viewOf(of);
    const plan = await planOf(view);
    of.currentScn += 10n;
    of.tables[0]!.rows.push({
      scn: of.currentScn,
      rowId: rowIdOf(73_000, 2, 1),
      values: { A: '1000', B: 'x', V: 'late' },
    });
    const blocks = await blocksOf(view, plan);
    expect(blocks.map(({ rows }) => rows.length)).toEqual([250, 250, 101]);
    expect(JSON.parse(blocks[2]!.lastKey!)).toEqual(['301', 'x']);
    expect(view.sees('any')).toBe(true);
    expect(view.position).toBeNull();
  });

  test('is gone with its session', async () => {
    const of = server();
    await using view = await viewOf(of);
    const plan = await planOf(view);
    of.faults.push({ on: 'READ', afterRows: 2, message: 'ORA-03113: end-of-file', times: 1 });
    await expect(blocksOf(view, plan)).rejects.toMatchObject({ code: 'source.connection-lost' });
    await expect(blocksOf(view, plan)).rejects.toMatchObject({ code: 'source.connection-lost' });
  });

  test('nobody has looked into it: its session is closed all the same', async () => {
    const of = server();
    const view = await viewOf(of);
    expect(of.openSessions).toBe(1);
    await view[Symbol.asyncDispose]();
    expect(of.openSessions).toBe(0);
  });

  test('may not be opened: no session stays', async () => {
    const of = server();
    of.faults.push({ on: 'SQL', within: 'SET TRANSACTION', message: 'ORA-03113: end-of-file', times: 1 });
    await expect(viewOf(of)).rejects.toBeInstanceOf(HeadwaterError);
    expect(of.openSessions).toBe(0);
  });

  test('whoever stops in the middle leaves no cursor', async () => {
    const of = server(600);
    await using view = await viewOf(of);
    const plan = await planOf(view);
    for await (const block of view.rows(plan, WHOLE, never)) {
      expect(block.rows).toHaveLength(250);
      break;
    }
    expect(of.openCursors).toBe(0);
  });
});

test('a table without a key is read in one piece', async () => {
  const of = server(3);
  of.tables[0]!.key = [];
  await using view = await dialect(of).snapshots().openOwnView({ parallelism: 1 }, never);
  const plan = await planOf(view);
  expect(plan.by).toBe('block');
  const [block] = await blocksOf(view, plan);
  expect([block!.rows.length, block!.lastKey]).toEqual([3, null]);
});
