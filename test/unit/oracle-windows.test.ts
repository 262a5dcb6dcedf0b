/** Chunks that are read beside the stream, of tables that do not stay as they are. */
import { afterEach, describe, expect, test } from 'vitest';
import type { TablePlan, WindowReader } from '../../src/snapshot/snapshot-source.ts';
import type { OraclePosition } from '../../src/readers/oracle/position.ts';
import type { OracleSource } from '../../src/readers/oracle/source-info.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { SILENT } from '../../src/observability/log.ts';
import { CommitLog } from '../../src/readers/oracle/commit-log.ts';
import { SESSION_SETTINGS } from '../../src/readers/oracle/session/session-settings.ts';
import { DEFAULT_LIMITS } from '../../src/readers/oracle/settings.ts';
import type { OraclePlan } from '../../src/readers/oracle/snapshot-plan.ts';
import { OracleWindows } from '../../src/readers/oracle/snapshot-windows.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';

const ORD = { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] };
const TABLE = { schema: 'Q', table: 'ORD' };
const WHOLE = { from: null, to: null };
const LIMIT = { maxRows: 100, maxBytes: 1_000_000 };
const never = new AbortController().signal;

let harness: Harness;

function server(rows = 3): FakeOracle {
  const made = serverWith({ 'Q.ORD': ORD });
  for (let id = 1; id <= rows; id++) {
    const values = { ID: String(id), NAME: `n${id}` };
    made.tables[0]!.rows.push({ scn: 1500n, rowId: rowIdOf(73_000, 1, id), values });
  }
  return made;
}

async function windowsOf(
  of: FakeOracle,
  tweaks: ConstructorParameters<typeof Harness>[1] = {},
): Promise<WindowReader<OraclePosition, OracleSource>> {
  harness = new Harness(of, tweaks);
  const reader = await harness.open();
  return reader.snapshotSource().openWindows({ parallelism: 1 }, never);
}

const planOf = (windows: WindowReader<OraclePosition, OracleSource>): Promise<TablePlan> =>
  windows.plan(TABLE, { chunkRows: 100, where: null, chunks: [WHOLE] }, never);

/** Adds a column, as its owner does between the plan and the chunk. */
function alter(of: FakeOracle): void {
  const table = of.tables[0]!;
  table.columns = [...table.columns, fakeColumn('MORE', 'VARCHAR2(9)')];
  table.rows = table.rows.map((row) => ({ ...row, values: { ...row.values!, MORE: 'x' } }));
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

describe('a chunk', () => {
  test.each([
    ['ORA-00904: "NAME": invalid identifier', 'a column is gone'],
    ['ORA-01466: unable to read data - table definition has changed', 'the table was altered'],
    ['ORA-08103: object no longer exists', 'the table was truncated'],
  ])('%s: the table is looked at again, and read in its new shape', async (message) => {
    const of = server();
    const windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({ on: 'READ', message, times: 1, meanwhile: () => alter(of) });
    const chunk = await windows.chunk(plan, WHOLE, LIMIT, never);
    expect(chunk.rows.map(({ after }) => valuesOf(after)!)).toEqual([
      [1, 'n1', 'x'],
      [2, 'n2', 'x'],
      [3, 'n3', 'x'],
    ]);
    // The plan says which shape it was, under the number that the stream will give it.
    expect(chunk.plan.schema.columns.map(({ name }) => name)).toEqual(['ID', 'NAME', 'MORE']);
    expect(chunk.plan.schema.version).toBe(plan.schema.version + 1);
    expect(chunk.lastKey).toBeNull();
    await windows[Symbol.asyncDispose]();
  });

  test('of a table that is dropped meanwhile', async () => {
    const of = server();
    const windows = await windowsOf(of);
    const plan = await planOf(windows);
    const meanwhile = (): void => void of.tables.pop();
    of.faults.push({ on: 'READ', message: 'ORA-08103: object no longer exists', times: 1, meanwhile });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'snapshot.table-unreadable',
    });
    await expect(planOf(windows)).rejects.toMatchObject({ code: 'snapshot.table-unreadable' });
    await windows[Symbol.asyncDispose]();
  });

  test('of a table that is never the same twice', async () => {
    const of = server();
    const windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({ on: 'READ', message: 'ORA-01466: unable to read data', times: 100 });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'snapshot.table-unsettled',
    });
    await windows[Symbol.asyncDispose]();
  });

  test('of a table that was altered: for as long as the server may not show it as of a moment ago', async () => {
    const of = server();
    const planning = await windowsOf(of);
    const plan = (await planOf(planning)) as OraclePlan;
    await planning[Symbol.asyncDispose]();
    const waits: number[] = [];
    await using windows = new OracleWindows({
      parallelism: 1,
      connect: async (signal) => {
        const session = await of.connect('snapshot', signal);
        for (const statement of SESSION_SETTINGS) await session.execute(statement);
        return session;
      },
      commitLog: new CommitLog(),
      modelAt: () => plan.model,
      estimatedRows: () => null,
      chunkBlocks: 1,
      describe: () => Promise.resolve(plan.model),
      logged: () => Promise.resolve(0n),
      alteredRetryMs: DEFAULT_LIMITS.alteredRetryMs,
      log: SILENT,
      sleep: (ms) => Promise.resolve(void waits.push(ms)),
    });
    of.faults.push({ on: 'READ', message: 'ORA-01466: unable to read data', times: 10 });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'snapshot.table-unsettled',
    });
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  });

  test('any other error is no reason to look again', async () => {
    const of = server();
    const windows = await windowsOf(of);
    const plan = await planOf(windows);
    of.faults.push({ on: 'READ', message: 'ORA-03113: end-of-file', times: 1 });
    await expect(windows.chunk(plan, WHOLE, LIMIT, never)).rejects.toMatchObject({
      code: 'source.connection-lost',
    });
    await windows[Symbol.asyncDispose]();
  });

  test('ends at its bounds, in rows and in bytes, and tells where', async () => {
    const of = server();
    const windows = await windowsOf(of);
    const plan = await planOf(windows);
    const first = await windows.chunk(plan, WHOLE, { ...LIMIT, maxRows: 2 }, never);
    expect(first.rows).toHaveLength(2);
    expect(first.lastKey).toBe(rowIdOf(73_000, 1, 2));
    const rest = await windows.chunk(plan, { from: first.lastKey, to: null }, LIMIT, never);
    expect(rest.rows.map(({ after }) => valuesOf(after)![0])).toEqual([3]);
    expect(rest.lastKey).toBeNull();
    // As many rows as are fetched at a time, at least.
    const small = await windows.chunk(plan, WHOLE, { ...LIMIT, maxBytes: 1 }, never);
    expect(small.lastKey).toBe(rowIdOf(73_000, 1, 3));
    await windows[Symbol.asyncDispose]();
  });
});

test('a table that is gone counts as one with a key', async () => {
  const of = server();
  const windows = await windowsOf(of);
  expect(await windows.keyed([TABLE, { schema: 'Q', table: 'GONE' }], never)).toEqual([true, true]);
  of.tables[0]!.key = [];
  expect(await windows.keyed([TABLE], never)).toEqual([false]);
  await windows[Symbol.asyncDispose]();
});

describe('a mark that an idle source does not get past', () => {
  test('is the log’s end once every instance must have flushed it', async () => {
    const of = server();
    of.threads[0]!.last = 1999n;
    const windows = await windowsOf(of);
    expect(await windows.settled(2_999, never)).toBeNull();
    expect(await windows.settled(3_000, never)).toMatchObject({ read: 1998n });
    await windows[Symbol.asyncDispose]();
  });

  test('with archived logs alone is the present SCN, which is read when its log is archived: never what is archived now', async () => {
    const of = server();
    of.redo = new RedoScript().insert(xid(1), 'Q.ORD', { ID: '4' }).commit(xid(1)).rows;
    of.currentScn = 2030n;
    const windows = await windowsOf(of, { archiveOnly: true });
    // Nothing is archived.
    expect((await harness.reader!.head(never)).position.read).toBe(2030n);
    expect(await windows.settled(3_000, never)).toMatchObject({ read: 2030n });
    of.switchLog(1, 2010n);
    expect((await harness.reader!.head(never)).position.read).toBe(2009n);
    expect(await windows.settled(3_000, never)).toMatchObject({ read: 2030n });
    await windows[Symbol.asyncDispose]();
  });

  test('a connection that is lost just then is no bug', async () => {
    const of = server();
    const windows = await windowsOf(of);
    of.faults.push({ on: 'SQL', within: 'FROM V$THREAD', message: 'ORA-03113: end-of-file', times: 1 });
    await expect(windows.settled(3_000, never)).rejects.toMatchObject({ code: 'source.connection-lost' });
    await windows[Symbol.asyncDispose]();
  });
});
