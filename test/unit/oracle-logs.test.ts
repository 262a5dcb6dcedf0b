/** Log files, windows and errors of the server: what is waited for, read again, and given up. */
import { afterEach, describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { FirstConnection } from '../../src/readers/oracle/session/first-connection.ts';
import { fakeTable, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = { 'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] } };
const [A, B] = [xid(1), xid(2)];
const BROKEN =
  'NJS-500: connection to the Oracle Database was broken ORA-03113: end-of-file on communication channel';

let harness: Harness;

function run(server: FakeOracle, tweaks: ConstructorParameters<typeof Harness>[1] = {}): Harness {
  harness = new Harness(server, tweaks);
  return harness;
}

function scripted(script: RedoScript): FakeOracle {
  const server = serverWith(TABLES);
  server.redo = script.rows;
  return server;
}

const two = (): RedoScript =>
  new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).insert(B, 'Q.ORD', { ID: '2' }).commit(B);
const ids = (h: Harness): (string | null | undefined)[] => h.events.map(({ after }) => after?.['ID']);

async function failure(h: Harness, scn: bigint): Promise<HeadwaterError> {
  try {
    await h.poll(scn);
  } catch (error) {
    expect(error).toBeInstanceOf(HeadwaterError);
    return error as HeadwaterError;
  }
  throw new Error('it went on');
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

describe('log files', () => {
  test('a switch while rows are fetched: the window is read again, and each row once', async () => {
    for (let afterRows = 0; afterRows <= 4; afterRows++) {
      const server = scripted(two());
      server.faults.push({
        on: 'FETCH',
        afterRows,
        message: 'ORA-00310: archived log contains sequence 11; sequence 10 required',
        times: 1,
        meanwhile: () => server.switchLog(1, 2013n),
      });
      const h = new Harness(server);
      await h.poll(2030n);
      expect(ids(h)).toEqual(['1', '2']);
      expect(await h.close()).toEqual([]);
    }
    run(serverWith(TABLES));
  });

  test('the archiver is late: waited for', async () => {
    const server = scripted(two());
    server.switchLog(1, 2012n, { archive: false });
    const h = run(server, { limits: { logRetryMs: 5 } });
    setTimeout(() => server.archive(1), 12);
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
  });

  test('the archiver does not come: a failure that another attempt may mend', async () => {
    const server = scripted(two());
    server.switchLog(1, 2012n, { archive: false });
    const error = await failure(run(server), 2030n);
    expect(error.code).toBe('source.log-missing');
    expect(error.message).toContain('thread 1: the log before sequence 11 is missing');
  });

  test('an archived log was deleted before it was read: its name', async () => {
    const server = scripted(two());
    const h = run(server);
    await h.poll(2010n);
    server.switchLog(1, 2012n);
    server.logs[0]!.state = 'deleted';
    const error = await failure(h, 2030n);
    expect(error.code).toBe('source.position-lost');
    expect(error.message).toContain('thread 1 sequence 10');
    expect(error.advice).toContain('Restore the archived log');
  });

  test('a hole in the sequences', async () => {
    const server = scripted(two());
    server.switchLog(1, 2011n);
    server.switchLog(1, 2013n);
    server.logs[1]!.state = 'unarchived';
    expect((await failure(run(server), 2030n)).message).toContain('thread 1: sequence 11 is missing');
  });

  test('ORA-01291 that heals, and one that does not', async () => {
    const server = scripted(two());
    server.faults.push({ on: 'START_LOGMNR', message: 'ORA-01291: missing log file', times: 3 });
    const h = new Harness(server);
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
    expect(await h.close()).toEqual([]);
    const other = scripted(two());
    other.faults.push({ on: 'START_LOGMNR', message: 'ORA-01291: missing log file', times: 99 });
    expect((await failure(run(other), 2030n)).code).toBe('source.log-missing');
  });

  test('of two copies the first destination’s is read', async () => {
    const server = scripted(two());
    server.switchLog(1, 2013n);
    server.destinations = ['LOG_ARCHIVE_DEST_1', 'LOG_ARCHIVE_DEST_2'];
    server.logs.push({ ...server.logs[0]!, destination: 'LOG_ARCHIVE_DEST_2' });
    const h = run(server, { archiveDestinations: ['LOG_ARCHIVE_DEST_2', 'LOG_ARCHIVE_DEST_1'] });
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
    expect(server.statements.filter((sql) => sql.includes('ADD_LOGFILE') && sql.includes('DEST_1'))).toEqual(
      [],
    );
  });

  test('many logs: a few at a time, and more where an old transaction lies before them', async () => {
    const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' });
    const server = scripted(script);
    server.logBytes = 100;
    server.logs[0]!.bytes = 100;
    for (let scn = 2020; scn < 2100; scn += 10) {
      script.insert(B, 'Q.ORD', { ID: String(scn) }, { at: scn + 1 }).commit(B, { at: scn + 2 });
      server.switchLog(1, BigInt(scn));
    }
    script.commit(A, { at: 2101 });
    const h = run(server, { limits: { logsPerSession: 2 } });
    await h.poll(2110n);
    expect(ids(h)).toEqual([...Array.from({ length: 8 }, (_, i) => String(2020 + 10 * i)), '1']);
    expect(h.position?.scn).toBe(2101n);
  });

  test('an open transaction is older than what the database knows of: as if it was deleted', async () => {
    const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' });
    const server = scripted(script);
    const h = run(server);
    await h.poll(2020n);
    server.switchLog(1, 2025n);
    script.insert(B, 'Q.ORD', { ID: '2' }, { at: 2027 }).commit(B);
    await h.poll(2030n);
    // Out of the control file: nothing tells that it was deleted.
    server.logs.splice(0, 1);
    script.insert(B, 'Q.ORD', { ID: '3' }, { at: 2035 }).commit(B);
    await h.poll(2040n);
    expect(ids(h)).toEqual(['2', '3']);
    expect(h.warnings).toEqual(['begin-gone']);
  });

  test.each([false, true])(
    'lobs: %s: an open transaction is older than what is archived: it is read on, and delivered',
    async (lobs) => {
      const half = `${A.slice(0, 8)}ffffffff`;
      const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' }, { row: 1 });
      const server = scripted(script);
      const h = run(server, { lobs });
      script.insert(B, 'Q.ORD', { ID: '2' }).commit(B);
      await h.poll(2020n);
      server.switchLog(1, 2025n);
      script.insert(B, 'Q.ORD', { ID: '5' }, { at: 2027 }).commit(B);
      await h.poll(2030n);
      server.logs[0]!.state = 'deleted';
      // Mined without its beginning, it has half a name.
      script
        .insert(half, 'Q.ORD', { ID: '3' }, { at: 2031, row: 3 })
        .insert(half, 'Q.ORD', { ID: '4' }, { row: 4 });
      script.undo(half, 2, 'Q.ORD', { row: 4 });
      await h.poll(2040n);
      server.switchLog(1, 2041n);
      script.insert(B, 'Q.ORD', { ID: '6' }, { at: 2042 }).commit(B);
      await h.poll(2045n);
      server.logs[1]!.state = 'deleted';
      script.commit(half, { at: 2046 });
      await h.poll(2050n);
      expect(ids(h)).toEqual(['2', '5', '6', '1', '3']);
      expect(h.warnings).toEqual(['begin-gone', 'incomplete-xid']);
      expect(h.position?.scn).toBe(2046n);
    },
  );

  test('what has not been read yet is gone: that is the end', async () => {
    const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' });
    const server = scripted(script);
    const h = run(server);
    await h.poll(2020n);
    server.switchLog(1, 2025n);
    server.switchLog(1, 2030n);
    server.logs[0]!.state = 'deleted';
    server.logs[1]!.state = 'deleted';
    expect((await failure(h, 2040n)).code).toBe('source.position-lost');
  });

  test('a closed thread whose older logs are gone is a gap; one that was opened behind them is none', async () => {
    const closed = {
      thread: 2,
      open: false,
      enabled: 'PUBLIC',
      enabledAt: 1n,
      disabledAt: 0n,
      last: 2015n,
    } as const;
    const log = { thread: 2, bytes: 100, destination: 'LOG_ARCHIVE_DEST_1' };
    const withSecond = (from: bigint): FakeOracle => {
      const server = scripted(two());
      server.threads.push({ ...closed, checkpoint: 2015n });
      server.logs.push(
        { ...log, sequence: 4, first: 1_000n, next: from, state: 'deleted' },
        { ...log, sequence: 5, first: from, next: null, state: 'current' },
      );
      return server;
    };
    const gone = withSecond(2010n);
    const error = await failure(run(gone), 2030n);
    expect(error.code).toBe('source.position-lost');
    expect(error.message).toContain('thread 2 sequence 4');
    expect(await harness.close()).toEqual([]);
    // Its older log ended before anything that is wanted.
    const opened = withSecond(1_990n);
    opened.logs.at(-1)!.first = 2_005n;
    await run(opened).poll(2030n);
    expect(ids(harness)).toEqual(['1', '2']);
  });

  test('archived logs alone', async () => {
    const server = scripted(two());
    const h = run(server, { archiveOnly: true });
    server.switchLog(1, 2013n);
    server.currentScn = 2030n;
    await h.poll(2012n);
    expect(ids(h)).toEqual(['1']);
    server.switchLog(1, 2020n);
    await h.poll(2019n);
    expect(ids(h)).toEqual(['1', '2']);
    expect(server.statements.some((sql) => sql.includes('/redo/'))).toBe(false);
  });

  test('a standby: archived logs alone unless the settings say otherwise, and nothing is written', async () => {
    const server = scripted(two());
    server.role = 'PHYSICAL STANDBY';
    server.openMode = 'READ ONLY WITH APPLY';
    server.switchLog(1, 2020n);
    const h = run(server, { archiveOnly: null, flushTable: 'HEADWATER_FLUSH' });
    await h.poll(2019n);
    expect(ids(h)).toEqual(['1', '2']);
    expect(server.statements.filter((sql) => /V\$LOGFILE|HEADWATER_FLUSH/.test(sql))).toEqual([]);
    const findings = await h.reader!.preflight(new AbortController().signal);
    expect(findings.filter(({ check }) => check === 'role').map(({ level }) => level)).toEqual(['ok']);
  });

  test('a private thread is not waited for', async () => {
    const server = scripted(two());
    server.threads.push({
      thread: 9,
      open: true,
      enabled: 'PRIVATE',
      checkpoint: 0n,
      enabledAt: 1n,
      disabledAt: 0n,
      last: 5n,
    });
    const h = run(server);
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
  });
});

describe('errors', () => {
  test.each(['CONNECT', 'ADD_LOGFILE', 'START_LOGMNR'])(
    'connection lost in %s: another attempt goes on',
    async (on) => {
      const server = scripted(two());
      const h = run(server);
      await h.poll(2010n);
      await h.restart();
      server.faults.push({ on, message: BROKEN, times: 1 });
      const error = await failure(h, 2030n);
      expect(error.code).toBe('source.connection-lost');
      expect(error.entry.fate).toBe('retry');
      await h.restart();
      await h.poll(2030n);
      expect(ids(h)).toEqual(['1', '2']);
    },
  );

  test.each([0, 1, 2, 3, 4])(
    'connection lost behind %d rows: nothing missing, nothing twice',
    async (afterRows) => {
      const server = scripted(two());
      server.faults.push({ on: 'FETCH', afterRows, message: BROKEN, times: 1 });
      const h = run(server, { limits: { batchChanges: 1 } });
      expect((await failure(h, 2030n)).code).toBe('source.connection-lost');
      await h.restart();
      await h.poll(2030n);
      expect(ids(h)).toEqual(['1', '2']);
    },
  );

  test('a call takes too long: the window halves, down to its least', async () => {
    const server = scripted(two());
    server.faults.push({
      on: 'START_LOGMNR',
      message: 'NJS-123: call timeout of 600000 ms exceeded',
      times: 3,
    });
    const h = new Harness(server, { limits: { windowStart: 32n, windowLeast: 2n } });
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
    const ends = server.statements.flatMap(
      (sql) => /STARTSCN => '(\d+)', ENDSCN => '(\d+)'/.exec(sql)?.slice(1) ?? [],
    );
    expect(ends.slice(0, 8)).toEqual(['2000', '2030', '2000', '2016', '2000', '2008', '2000', '2004']);
    expect(await h.close()).toEqual([]);
    const slow = scripted(two());
    slow.faults.push({ on: 'START_LOGMNR', message: 'ORA-01013: user requested cancel', times: 99 });
    const error = await failure(run(slow, { limits: { windowStart: 32n, windowLeast: 2n } }), 2030n);
    expect(error.code).toBe('source.query-interrupted');
    expect(error.advice).toContain('query_timeout');
  });

  test.each([1, 2, 3, 4])(
    'a call takes too long behind %d rows: what lies above the halved window is not taken twice',
    async (afterRows) => {
      // One transaction, so that all of it is open when its rows come by again.
      const script = new RedoScript();
      for (const ID of ['1', '2', '3']) script.insert(A, 'Q.ORD', { ID });
      const server = scripted(script.commit(A));
      server.faults.push({
        on: 'FETCH',
        afterRows,
        message: 'NJS-123: call timeout of 1 ms exceeded',
        times: 1,
      });
      const h = run(server, { limits: { windowStart: 16n, windowLeast: 1n, windowMost: 16n } });
      await h.poll(2030n);
      expect(ids(h)).toEqual(['1', '2', '3']);
    },
  );

  test('windows grow where they are fast', async () => {
    const server = scripted(two());
    const h = run(server, { limits: { windowStart: 2n, windowLeast: 1n, windowMost: 16n } });
    await h.poll(2100n);
    const sizes = server.statements.flatMap((sql) => {
      const match = /STARTSCN => '(\d+)', ENDSCN => '(\d+)'/.exec(sql);
      return match === null ? [] : [Number(match[2]) - Number(match[1])];
    });
    expect(sizes.slice(0, 3)).toEqual([2, 4, 8]);
    expect(Math.max(...sizes)).toBe(16);
  });

  test('a LogMiner session that is not as thought is built again', async () => {
    const server = scripted(two());
    server.faults.push({
      on: 'START_LOGMNR',
      message: 'ORA-01306: dbms_logmnr.start_logmnr() must be invoked',
      times: 2,
    });
    const h = run(server);
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
  });

  test('an SCN range that stays refused ends it', async () => {
    const server = scripted(two());
    server.faults.push({
      on: 'START_LOGMNR',
      message: 'ORA-01281: SCN range specified is invalid',
      times: 2,
    });
    expect((await failure(run(server), 2030n)).code).toBe('source.log-failed');
  });

  test.each([
    [
      'ORA-00600: internal error code, arguments: [krvrdGetUID:2], [18446744073709551614]',
      'source.connection-lost',
      'retry',
    ],
    ['ORA-00600: internal error code, arguments: [flg0]', 'source.supplemental-logging', 'halt'],
    ['ORA-00600: internal error code, arguments: [kdli_iread_1]', 'source.log-failed', 'halt'],
    ['ORA-01354: Supplemental log data must be added', 'source.supplemental-logging', 'halt'],
    ['ORA-01325: archive log mode must be enabled', 'source.archive-mode', 'halt'],
    ['ORA-65040: operation not allowed from within a pluggable database', 'source.container', 'halt'],
    ['ORA-01031: insufficient privileges', 'source.privilege-missing', 'halt'],
    ['ORA-01295: DB_ID mismatch', 'source.position-lost', 'resnapshot'],
    ['ORA-01017: invalid username/password', 'source.auth-failed', 'halt'],
    [
      'NJS-138: connections to this database server version are not supported',
      'source.client-unsupported',
      'halt',
    ],
  ])('%s', async (message, code, fate) => {
    const server = scripted(two());
    server.faults.push({ on: 'START_LOGMNR', message, times: 1 });
    const error = await failure(run(server), 2030n);
    expect(error.code).toBe(code);
    expect(error.entry.fate).toBe(fate);
  });

  test('memory at the server runs out: half the window on another connection, and the end where that recurs', async () => {
    const server = scripted(two());
    server.faults.push({ on: 'START_LOGMNR', message: 'ORA-04036: PGA memory used exceeds limit', times: 2 });
    const h = run(server, { limits: { windowStart: 16n, windowLeast: 1n } });
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
    const windows = server.statements.flatMap((sql) => {
      const match = /STARTSCN => '(\d+)', ENDSCN => '(\d+)'/.exec(sql);
      return match === null ? [] : [Number(match[2]) - Number(match[1])];
    });
    expect(windows.slice(0, 3)).toEqual([16, 8, 4]);
    expect(
      server.statements.filter((sql) => sql.startsWith('mining: ALTER SESSION SET TIME_ZONE')),
    ).toHaveLength(3);
    server.currentScn = 2040n;
    server.faults.push({ on: 'START_LOGMNR', message: 'ORA-04030: out of process memory', times: 99 });
    const error = await failure(h, 2040n);
    expect(error.code).toBe('source.out-of-resources');
    expect(error.fix).toContain('PGA_AGGREGATE_LIMIT');
  });

  test('LogMiner does not start: the log tells of its files', async () => {
    const server = scripted(two());
    server.faults.push({ on: 'START_LOGMNR', message: 'ORA-01291: missing log file', times: 1 });
    await run(server).poll(2030n);
    expect(server.statements).toContainEqual(
      expect.stringMatching(/^mining: SELECT FILENAME, .* FROM V\$LOGMNR_LOGS$/),
    );
  });

  test('a service that nobody knows: waited for at first, and then taken for misspelt', async () => {
    const server = scripted(two());
    const message = 'NJS-518: cannot connect ORA-12514: listener does not know of service';
    server.faults.push({ on: 'CONNECT', message, times: 2 });
    const h = run(server);
    expect((await failure(h, 2030n)).entry.fate).toBe('retry');
    await h.restart();
    h.firstConnection = new FirstConnection(0);
    expect(await failure(h, 2030n)).toMatchObject({
      code: 'settings.invalid',
      fix: expect.stringContaining('lsnrctl') as string,
    });
    await h.restart();
    await h.poll(2030n);
    // Once it was reached it is only away.
    server.faults.push({ on: 'CONNECT', message, times: 1 });
    await h.restart();
    expect((await failure(h, 2031n)).entry.fate).toBe('retry');
  });

  test('an error nobody knows: three new attempts, then the end, with its argument', async () => {
    const server = scripted(two());
    const message = 'ORA-00600: internal error code, arguments: [qwerty], [1]';
    server.faults.push({ on: 'START_LOGMNR', message, times: 99 });
    const h = run(server);
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect((await failure(h, 2030n)).entry.fate).toBe('retry');
      await h.restart();
    }
    const error = await failure(h, 2030n);
    expect(error.code).toBe('source.log-failed');
    expect(error.message).toContain('[qwerty]');
    h.unknownErrors.progressed();
    await h.restart();
    expect((await failure(h, 2030n)).entry.fate).toBe('retry');
  });

  test('gaps that LogMiner reports: a warning, and the end where they do not stop', async () => {
    const once = new RedoScript().plain(A, 34).insert(A, 'Q.ORD', { ID: '1' }).commit(A);
    const h = new Harness(scripted(once));
    await h.poll(2030n);
    expect(h.warnings).toEqual(['missing-scn']);
    expect(ids(h)).toEqual(['1']);
    expect(await h.close()).toEqual([]);
    const often = new RedoScript()
      .plain(A, 34, { at: 2011 })
      .plain(A, 34, { at: 2011 })
      .plain(A, 34, { at: 2011 });
    expect((await failure(run(scripted(often)), 2030n)).code).toBe('source.position-lost');
  });

  test('SCNs that fall within a result are counted', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1' }, { at: 2015 })
      .insert(A, 'Q.ORD', { ID: '2' }, { at: 2014 })
      .commit(A, { at: 2016 });
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(ids(h)).toEqual(['1', '2']);
    expect(h.warnings).toEqual(['scn-went-back']);
  });

  test('the session’s memory grows too large: LogMiner goes on in another connection', async () => {
    const server = scripted(two());
    server.sessionMemory = 10_000;
    const h = run(server, { limits: { sessionMemoryBytes: 5_000, memoryCheckMs: 0, sessionMs: 0 } });
    await h.poll(2012n);
    const connects = server.connects;
    await h.poll(2020n);
    await h.poll(2030n);
    expect(server.connects).toBeGreaterThan(connects);
    expect(ids(h)).toEqual(['1', '2']);
  });
});

test.each([true, false])(
  'session_reconnect: %s: a session that is too old ends, with its connection or without',
  async (sessionReconnect) => {
    const server = scripted(two());
    const h = run(server, { sessionReconnect, limits: { sessionMs: -1 } });
    for (const scn of [2012n, 2020n, 2030n]) await h.poll(scn);
    const sent = (text: string): number => server.statements.filter((sql) => sql.includes(text)).length;
    const connections = sent('mining: ALTER SESSION SET TIME_ZONE');
    if (sessionReconnect) expect(connections).toBe(sent('OPTIONS => DBMS_LOGMNR.NEW'));
    else expect(connections).toBe(1);
    expect(sent('OPTIONS => DBMS_LOGMNR.NEW')).toBeGreaterThanOrEqual(3);
    expect(ids(h)).toEqual(['1', '2']);
  },
);

describe('the flush table', () => {
  test('is written to at the log’s end, and nowhere else', async () => {
    const server = scripted(two());
    const h = run(server, { flushTable: 'HEADWATER_FLUSH' });
    await h.poll(2030n);
    await h.poll(2040n);
    expect(server.flushTable.scn).toBeGreaterThan(2000n);
  });

  test('two rows, since two found it empty, become one; and it is not captured itself', async () => {
    const server = scripted(two());
    server.flushTable.rows = 2;
    const columns = { LAST_SCN: 'NUMBER(19,0)' };
    server.tables.push(fakeTable('C##CDC.HEADWATER_FLUSH', { columns, pk: [] }, 73_900));
    const h = run(server, { flushTable: 'HEADWATER_FLUSH', tables: ['*.*'] });
    await h.poll(2030n);
    await h.poll(2040n);
    expect(server.flushTable.rows).toBe(1);
    expect((await h.reader!.describe(new AbortController().signal)).map(({ id }) => id.table)).toEqual([
      'ORD',
    ]);
  });

  test('without the table nothing is ever written', async () => {
    const server = scripted(two());
    const h = run(server);
    await h.poll(2030n);
    expect(server.statements.filter((sql) => /INSERT INTO|UPDATE "|CREATE |COMMIT$/.test(sql))).toEqual([]);
  });

  test('may not be written to: it is left alone, with a warning', async () => {
    const server = scripted(two());
    server.flushTable.writable = false;
    const h = run(server, { flushTable: 'HEADWATER_FLUSH' });
    await h.poll(2030n);
    await h.poll(2040n);
    expect(h.warnings).toEqual(['flush-off']);
    expect(ids(h)).toEqual(['1', '2']);
  });

  test('the connection is lost in it: another attempt', async () => {
    const server = scripted(two());
    server.faults.push({ on: 'FLUSH', message: BROKEN, times: 1 });
    const h = run(server, { flushTable: 'HEADWATER_FLUSH' });
    await h.poll(2030n);
    expect((await failure(h, 2040n)).code).toBe('source.connection-lost');
    await h.restart();
    await h.poll(2050n);
    expect(ids(h)).toEqual(['1', '2']);
  });

  test('an instance that is away does not keep the others waiting', async () => {
    const server = scripted(two());
    server.faults.push({ on: 'CONNECT', within: 'node1', message: 'NJS-503: connection refused', times: 9 });
    const h = run(server, { flushTable: 'HEADWATER_FLUSH', racNodes: ['node1:1521', 'node2:1521'] });
    await h.poll(2030n);
    await h.poll(2040n);
    expect(server.flushTable.scn).toBeGreaterThan(2000n);
    expect(ids(h)).toEqual(['1', '2']);
  });
});
