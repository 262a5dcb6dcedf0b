/** What surrounds the stream: its end while something is under way, sessions that are not to be had, the flush table. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { SILENT } from '../../src/observability/log.ts';
import { FlushWriter } from '../../src/readers/oracle/mining/flush-writer.ts';
import { MiningSessions } from '../../src/readers/oracle/mining/mining-sessions.ts';
import { ORACLE_POSITIONS } from '../../src/readers/oracle/position.ts';
import { createOracleReader } from '../../src/readers/oracle/reader.ts';
import type { ConnectOracle } from '../../src/readers/oracle/session/oracle-session.ts';
import { DEFAULT_LIMITS } from '../../src/readers/oracle/settings.ts';
import { Warnings } from '../../src/readers/oracle/warnings.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = { 'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] } };
const [A, B] = [xid(1), xid(2)];
const LOST = 'ORA-03113: end-of-file on communication channel';
const never = new AbortController().signal;

let harness: Harness | null = null;

function run(
  server: FakeOracle,
  tweaks: ConstructorParameters<typeof Harness>[1] = {},
  connect?: ConnectOracle,
): Harness {
  return (harness = new Harness(server, tweaks, undefined, connect));
}

afterEach(async () => {
  if (harness !== null) expect(await harness.close()).toEqual([]);
  harness = null;
});

describe('the reader is stopped', () => {
  const script = (): RedoScript =>
    new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).insert(B, 'Q.ORD', { ID: '2' }).commit(B);

  test('while a call is under way, which fails by that: no error', async () => {
    const server = serverWith(TABLES);
    server.redo = script().rows;
    server.currentScn = 2030n;
    const h = run(server);
    const reader = await h.open();
    const stop = new AbortController();
    server.faults.push({
      on: 'FETCH',
      afterRows: 0,
      message: 'ORA-01013: user requested cancel of current operation',
      times: 1,
      meanwhile: () => stop.abort(),
    });
    const read: number[] = [];
    for await (const { changes } of reader.read(h.position!, stop.signal)) read.push(changes.length);
    expect(read.reduce((a, b) => a + b, 0)).toBe(0);
  });

  test('by another error just then: that is told', async () => {
    const server = serverWith(TABLES);
    const h = run(server);
    const reader = await h.open();
    const stop = new AbortController();
    server.currentScn = 2030n;
    const reason = new Error('the disk is full');
    server.faults.push({
      on: 'FETCH',
      afterRows: 0,
      message: LOST,
      times: 1,
      meanwhile: () => {
        stop.abort();
        throw reason;
      },
    });
    const reading = (async (): Promise<void> => {
      for await (const batch of reader.read(h.position!, stop.signal)) expect(batch.changes).toEqual([]);
    })();
    await expect(reading).rejects.toBe(reason);
  });

  test('between two batches of a window', async () => {
    const server = serverWith(TABLES);
    server.redo = script().rows;
    server.currentScn = 2030n;
    const h = run(server, { limits: { batchChanges: 1 } });
    const reader = await h.open();
    const stop = new AbortController();
    const seen: unknown[] = [];
    for await (const batch of reader.read(h.position!, stop.signal)) {
      seen.push(...batch.changes);
      if (seen.length > 0) stop.abort();
    }
    expect(seen.length).toBeGreaterThan(0);
  });

  test('while it waits for the archiver, which it would do for long', async () => {
    const server = serverWith(TABLES);
    server.redo = script().rows;
    server.switchLog(1, 2020n, { archive: false });
    server.currentScn = 2030n;
    const h = run(server, { limits: { logRetryMs: 600_000 } });
    const reader = await h.open();
    const stop = new AbortController();
    const batches = reader.read(h.position!, stop.signal)[Symbol.asyncIterator]();
    const next = batches.next();
    await vi.waitFor(
      () => expect(server.statements).toContainEqual(expect.stringContaining('FROM V$LOGFILE')),
      { timeout: 60_000 },
    );
    stop.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('while a table that is altered is left alone for a moment', async () => {
    const server = serverWith(TABLES);
    const reader = await run(server, { limits: { alteredRetryMs: 600_000 } }).open();
    await using windows = await reader.snapshotSource().openWindows({ parallelism: 1 }, never);
    const plan = await windows.plan(
      { schema: 'Q', table: 'ORD' },
      { chunkRows: 10, where: null, chunks: [] },
      never,
    );
    const stop = new AbortController();
    const reason = new Error('stopped');
    let asked = 0;
    server.faults.push({
      on: 'READ',
      message: 'ORA-01466: unable to read data - table definition has changed',
      times: 9,
      meanwhile: () => {
        if (++asked === 1) stop.abort(reason);
      },
    });
    const range = { from: null, to: null };
    const chunk = windows.chunk(plan, range, { maxRows: 9, maxBytes: 9_999 }, stop.signal);
    await expect(chunk).rejects.toMatchObject({ cause: reason });
    expect(asked).toBe(1);
  });

  test('while a connection is being made: it is closed, and nobody has it', async () => {
    const server = serverWith(TABLES);
    let held: (() => void) | null = null;
    const connect: ConnectOracle = async (use, signal, address) => {
      const session = await server.connect(use, signal, address);
      if (use === 'catalogue') await new Promise<void>((resolve) => (held = resolve));
      return session;
    };
    const h = run(server, {}, connect);
    const reader = createOracleReader(h.options, {
      connect,
      unknownErrors: h.unknownErrors,
      firstConnection: h.firstConnection,
      log: SILENT,
    });
    const listing = reader.tables(never).catch((error: unknown) => error);
    while (held === null) await new Promise((resolve) => setImmediate(resolve));
    await reader[Symbol.asyncDispose]();
    (held as () => void)();
    expect(await listing).toBeInstanceOf(HeadwaterError);
    expect(server.openSessions).toBe(0);
  });
});

test('settings that a session refuses leave no connection', async () => {
  const server = serverWith(TABLES);
  server.faults.push({ on: 'SQL', within: 'TIME_ZONE', message: LOST, times: 1 });
  await expect(run(server).open()).rejects.toMatchObject({ code: 'source.connection-lost' });
  expect(server.openSessions).toBe(0);
});

test('a connection that fails for no reason of Oracle’s is told as it is', async () => {
  const server = serverWith(TABLES);
  const reason = new Error('no such module');
  await expect(run(server, {}, () => Promise.reject(reason)).open()).rejects.toBe(reason);
});

test('a table is described as the stream has it, or will have it', async () => {
  const server = serverWith(TABLES);
  const h = run(server);
  const reader = await h.open();
  await using windows = await reader.snapshotSource().openWindows({ parallelism: 1 }, never);
  const options = { chunkRows: 10, where: null, chunks: [] };
  // One that nobody has opened the stream for.
  server.tables.push({ ...server.tables[0]!, name: 'NEW', key: [] });
  const plan = await windows.plan({ schema: 'Q', table: 'NEW' }, options, never);
  expect(plan).toMatchObject({ schema: { version: 1, key: [] }, estimatedRows: null });
  expect((await windows.plan({ schema: 'Q', table: 'ORD' }, options, never)).schema.version).toBe(1);
});

describe('the flush table', () => {
  const writer = (connect: ConnectOracle, nodes: readonly string[] = []): FlushWriter =>
    new FlushWriter({ connect, table: 'F', nodes, warnings: new Warnings(SILENT), log: SILENT });
  const setUp =
    (server: FakeOracle): ConnectOracle =>
    async (use, signal, address) => {
      const session = await server.connect(use, signal, address);
      await session.execute(
        "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9' NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM' NLS_NUMERIC_CHARACTERS = '.,'",
      );
      await session.execute("ALTER SESSION SET TIME_ZONE = '00:00'");
      return session;
    };

  test('is made once for each connection', async () => {
    const server = serverWith(TABLES);
    const flush = writer(setUp(server));
    await flush.flush(1n, never);
    await flush.flush(2n, never);
    expect(server.statements.filter((sql) => sql.includes('CREATE TABLE'))).toHaveLength(1);
    expect(server.flushTable.scn).toBe(2n);
    await flush.close();
    expect(server.openSessions).toBe(0);
  });

  test('that may not be written to is left alone from then on', async () => {
    const server = serverWith(TABLES);
    server.flushTable.writable = false;
    const flush = writer(setUp(server));
    await flush.flush(1n, never);
    await flush.flush(2n, never);
    expect(server.connects).toBe(1);
    expect(server.openSessions).toBe(0);
  });

  test('a failure of something else is told as it is', async () => {
    const reason = new Error('aborted');
    await expect(writer(() => Promise.reject(reason)).flush(1n, never)).rejects.toBe(reason);
  });

  test('an instance that is away is left alone for a moment, and the others are written to', async () => {
    const server = serverWith(TABLES);
    server.faults.push({ on: 'CONNECT', within: 'a:1521', message: 'NJS-503: refused', times: 1 });
    const flush = writer(setUp(server), ['a:1521', 'b:1521']);
    await flush.flush(1n, never);
    await flush.flush(2n, never);
    expect(server.flushTable.scn).toBe(2n);
    expect(server.connects).toBe(2);
    await flush.close();
  });

  test('an error that will pass is no reason to stop', async () => {
    const server = serverWith(TABLES);
    const flush = writer(setUp(server));
    server.faults.push({ on: 'FLUSH', within: 'UPDATE', message: 'ORA-00604: recursive SQL', times: 1 });
    await flush.flush(1n, never);
    await flush.close();
    expect(server.openSessions).toBe(0);
  });
});

describe('LogMiner sessions', () => {
  test('that nobody has needed have nothing to give back', async () => {
    const sessions = new MiningSessions({
      connect: () => Promise.reject(new Error('not asked here')),
      limits: { ...DEFAULT_LIMITS, memoryCheckMs: 0 },
      dictionary: 'online',
      reconnects: false,
    });
    await sessions.rotate();
    await sessions.drop();
    expect(await sessions.files()).toEqual([]);
    await sessions[Symbol.asyncDispose]();
  });

  test('that take little memory stay', async () => {
    const server = serverWith(TABLES);
    server.redo = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).rows;
    const h = run(server, { limits: { memoryCheckMs: 0 } });
    await h.poll(2020n);
    await h.poll(2030n);
    await h.poll(2040n);
    expect(server.statements.some((sql) => sql.includes('V$MYSTAT'))).toBe(true);
    expect(server.connects).toBe(3);
  });
});

test.each([
  null,
  'x',
  { scn: '1', read: '2', up_to: '3' },
  { scn: '1', read: '2', up_to: '3', commit_scn: 7 },
  { scn: '1', read: '2', up_to: '3', commit_scn: '', mid: 'x' },
  { scn: '1', read: '2', up_to: '3', commit_scn: '', mid: { tx_id: 'x', done: 1, filter: '' } },
  { scn: '1', read: '2', up_to: '3', commit_scn: '', mid: { tx_id: A, done: 1 } },
  { scn: '1', read: '2', up_to: '3', commit_scn: '', mid: { tx_id: A, done: 0, filter: '' } },
])('a position that is none: %j', (json) => {
  expect(() => ORACLE_POSITIONS.decode(json as never)).toThrow(/An Oracle position has the form/);
});

test('of two positions the one with the later mark is the later', () => {
  const at = (scn: string): ReturnType<typeof ORACLE_POSITIONS.decode> =>
    ORACLE_POSITIONS.decode({ scn: '1', read: '2', up_to: '3', commit_scn: scn });
  expect(ORACLE_POSITIONS.compare(at(`9:1:${A}`), at(`8:1:${A}`))).toBeGreaterThan(0);
  expect(ORACLE_POSITIONS.compare(at(`8:1:${A}`), at(`9:1:${A}`))).toBeLessThan(0);
  expect(ORACLE_POSITIONS.compare(at(`9:1:${A}-${B}`), at(`9:1:${A}`))).toBeGreaterThan(0);
});
