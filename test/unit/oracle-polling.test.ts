/** Polling of Oracle against the scripted server. */
import { afterEach, describe, expect, test } from 'vitest';
import { readRow } from '../../src/model/change.ts';
import { ABSENT } from '../../src/model/value.ts';
import type { DeliveredBefore } from '../../src/readers/delivered-before.ts';
import type { OracleValue } from '../../src/readers/oracle/session/oracle-session.ts';
import { resultColumn } from '../../src/readers/oracle/session/driver-session.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, serverWith, type TableScript } from '../support/oracle/harness.ts';
import { PollHarness, type PollTweaks } from '../support/oracle/poll-harness.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';

const ORD: TableScript = {
  columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)', UPDATED: 'TIMESTAMP(6)' },
  pk: ['ID'],
};

const never = new AbortController().signal;
let harness: PollHarness | null = null;

function polling(server: FakeOracle, tweaks: PollTweaks = {}): PollHarness {
  return (harness = new PollHarness(server, tweaks));
}

afterEach(() => {
  if (harness !== null) expect(harness.close()).toEqual([]);
  harness = null;
});

type Cells = Readonly<Record<string, OracleValue>>;

/** Commits rows of a table; null deletes. The row's id is its place. */
function commit(server: FakeOracle, table: number, rows: Readonly<Record<number, Cells | null>>): void {
  const { rows: changes, dataObjectId } = server.tables[table]!;
  server.currentScn += 10n;
  for (const [id, values] of Object.entries(rows)) {
    changes.push({ scn: server.currentScn, rowId: rowIdOf(Number(dataObjectId), 1, Number(id)), values });
  }
}

/** The server's clock as a TIMESTAMP of its zone, which is UTC, has it. */
function now(server: FakeOracle): string {
  return `${new Date(server.clockUs / 1000).toISOString().slice(0, -1)}000000`;
}

function pass(server: FakeOracle, seconds: number): void {
  server.clockUs += seconds * 1_000_000;
}

const row = (id: number, v: number, updated: string | null): Cells => ({
  ID: String(id),
  V: String(v),
  UPDATED: updated,
});
const told = (h: PollHarness): readonly string[] =>
  h.events.map(({ op, before, after }) =>
    [op, before?.['ID'], before?.['V'], after?.['ID'], after?.['V']].map((cell) => cell ?? '-').join(' '),
  );
const BY_TIME = { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED'] } } as const;

describe('modes', () => {
  test('timestamp: what is new, once, behind pages of equal times', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    const same = now(server);
    pass(server, 10);
    commit(server, 0, Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((id) => [id, row(id, 0, same)])));
    const h = polling(server, { tables: BY_TIME, timeZone: 'UTC' });
    await h.run();
    expect(h.events.map(({ op }) => op)).toEqual(Array(7).fill('r'));
    pass(server, 10);
    const later = now(server);
    commit(server, 0, Object.fromEntries([2, 3, 4, 5, 6, 8].map((id) => [id, row(id, 1, later)])));
    await h.run();
    await h.run();
    expect(told(h).slice(7).sort()).toEqual([2, 3, 4, 5, 6, 8].map((id) => `u - - ${id} 1`));
  });

  test('incrementing: inserts alone', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    commit(server, 0, { 9: row(9, 0, null), 10: row(10, 0, null) });
    const h = polling(server, { tables: { 'Q.ORD': { mode: 'incrementing', incrementing: 'ID' } } });
    await h.run();
    pass(server, 10);
    commit(server, 0, { 9: row(9, 5, null), 100: row(100, 0, null), 11: row(11, 0, null) });
    await h.run();
    await h.run();
    expect(told(h)).toEqual(['r - - 9 0', 'r - - 10 0', 'c - - 11 0', 'c - - 100 0']);
  });

  test.each([1, 2, 3, 4, 5])(
    'incrementing: killed after %i batches, no number is passed over',
    async (batches) => {
      const server = serverWith({ 'Q.ORD': ORD });
      commit(server, 0, { 9: row(9, 0, null), 10: row(10, 0, null) });
      const h = polling(server, { tables: { 'Q.ORD': { mode: 'incrementing', incrementing: 'ID' } } });
      await h.run(batches);
      pass(server, 10);
      commit(server, 0, { 11: row(11, 0, null), 12: row(12, 0, null) });
      await h.run();
      await h.run();
      expect(h.replayed('Q.ORD', ['ID'])).toHaveLength(4);
      const changes = told(h).filter((change) => !change.startsWith('r'));
      expect(new Set(changes).size).toBe(changes.length);
    },
  );

  test('several times count as COALESCE does, and rows without any are looked at each time', async () => {
    const server = serverWith({
      'Q.ORD': { ...ORD, columns: { ...ORD.columns, MADE: 'TIMESTAMP(6)' } },
    });
    const at = now(server);
    pass(server, 10);
    commit(server, 0, { 1: { ...row(1, 0, null), MADE: at }, 2: { ...row(2, 0, null), MADE: null } });
    const h = polling(server, {
      tables: { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED', 'MADE'] } },
      timeZone: 'UTC',
    });
    await h.run();
    pass(server, 10);
    commit(server, 0, {
      1: { ...row(1, 1, now(server)), MADE: at },
      2: { ...row(2, 1, null), MADE: null },
      3: { ...row(3, 1, null), MADE: now(server) },
    });
    await h.run();
    await h.run();
    expect(told(h).slice(2).sort()).toEqual(['u - - 1 1', 'u - - 2 1', 'u - - 3 1']);
    expect(server.statements.some((sql) => sql.includes('COALESCE(T."UPDATED", T."MADE")'))).toBe(true);
  });

  test('bulk: by key of two columns, page by page; and without a key in one statement', async () => {
    const server = serverWith({
      'Q.PAIRS': { columns: { A: 'VARCHAR2(10)', B: 'NVARCHAR2(10)', V: 'NUMBER(9,0)' }, pk: ['A', 'B'] },
      'Q.BARE': { columns: { V: 'NUMBER(9,0)' }, pk: [] },
    });
    const pair = (a: string, b: string, v: number): Cells => ({ A: a, B: b, V: String(v) });
    commit(server, 0, {
      1: pair('a', 'x', 0),
      2: pair('a', 'y', 0),
      3: pair('b', 'x', 0),
      4: pair('B', 'z', 0),
      5: pair('b', "'", 0),
    });
    commit(server, 1, { 1: { V: '1' }, 2: { V: '2' } });
    const h = polling(server, { batchRows: 2 });
    await h.run();
    expect(h.events).toHaveLength(7);
    commit(server, 0, { 2: pair('a', 'y', 1), 6: pair('ä', 'z', 1) });
    commit(server, 1, { 2: { V: '3' } });
    await h.run();
    const later = h.events.slice(7).map(({ op, after }) => `${op} ${Object.values(after ?? {}).join(' ')}`);
    expect(later.sort()).toEqual(['u 3', 'u a y 1', 'u ä z 1']);
    expect(server.statements.some((sql) => sql.includes('UNISTR(:'))).toBe(true);
  });

  test('views and queries of one’s own', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.views.push({ owner: 'Q', name: 'RECENT', of: 'Q.ORD' });
    const text = 'SELECT id, v FROM ord WHERE v >= 0';
    server.queries.set(text, {
      columns: [
        resultColumn({ name: 'ID', dbTypeName: 'NUMBER', precision: 9, scale: 0 }),
        resultColumn({ name: 'V', dbTypeName: 'NUMBER', precision: 0, scale: -127 }),
      ],
      of: 'Q.ORD',
    });
    commit(server, 0, { 1: row(1, 0, null) });
    const h = polling(server, {
      patterns: ['Q.RECENT', 'R.ORDERS'],
      tables: { 'Q.RECENT': { key: ['ID'] }, 'R.ORDERS': { key: ['ID'], query: text } },
    });
    await h.run();
    commit(server, 0, { 1: row(1, 7, null) });
    await h.run();
    const seen = h.events.map(({ op, table, after }) => `${op} ${table} ${after?.['ID']} ${after?.['V']}`);
    expect(seen.sort()).toEqual(['r Q.RECENT 1 0', 'r R.ORDERS 1 0', 'u Q.RECENT 1 7', 'u R.ORDERS 1 7']);
  });

  test('deletes, rows before, and creates from its own state', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    commit(server, 0, { 1: row(1, 1, now(server)), 2: row(2, 2, now(server)) });
    const h = polling(server, {
      tables: { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED'], remember: 'rows', sweepMs: 0 } },
      timeZone: 'UTC',
    });
    await h.run();
    pass(server, 10);
    commit(server, 0, { 1: row(1, 5, now(server)), 2: null, 3: row(3, 3, now(server)) });
    await h.run();
    expect(told(h).slice(2).sort()).toEqual(['c - - 3 3', 'd 2 2 - -', 'u 1 1 1 5']);
  });

  test('updates that leave the time as it is are found by a sweep', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    const early = now(server);
    commit(server, 0, { 1: row(1, 1, early), 2: row(2, 2, early) });
    const h = polling(server, {
      tables: { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED'], remember: 'rows', sweepMs: 0 } },
      timeZone: 'UTC',
    });
    await h.run();
    pass(server, 7 * 86_400);
    await h.run();
    commit(server, 0, { 1: row(1, 7, early), 3: row(3, 3, now(server)) });
    await h.run();
    await h.run();
    expect(told(h).slice(2).sort()).toEqual(['c - - 3 3', 'u 1 1 1 7']);
    // Another column changes no row; what changes behind it is found again.
    pass(server, 7 * 86_400);
    await h.run();
    const table = server.tables[0]!;
    table.columns = [...table.columns, fakeColumn('MORE', 'VARCHAR2(10)')];
    table.lastDdl = server.currentScn;
    for (let round = 0; round < 3; round++) await h.run();
    expect(told(h)).toHaveLength(4);
    commit(server, 0, { 2: { ...row(2, 8, early), MORE: 'x' } });
    await h.run();
    expect(told(h).slice(4)).toEqual(['u 2 2 2 8']);
  });
});

describe('rows that come late', () => {
  test.each([
    ['a transaction', (server: FakeOracle) => server.transactions.push({ xid: '0A00', seconds: 5 })],
    [
      'a call that has changed nothing yet',
      (server: FakeOracle) => server.calls.push({ session: '1.7.9', seconds: 5 }),
    ],
  ])('%s that is open holds the horizon', async (_, begin) => {
    const server = serverWith({ 'Q.ORD': ORD });
    const h = polling(server, { tables: BY_TIME, timeZone: 'UTC' });
    await h.run();
    pass(server, 60);
    const early = now(server);
    begin(server);
    pass(server, 1_000);
    commit(server, 0, { 2: row(2, 0, now(server)) });
    server.transactions = server.transactions.map(({ xid }) => ({ xid, seconds: 1_005 }));
    server.calls = server.calls.map(({ session }) => ({ session, seconds: 1_005 }));
    await h.run();
    expect(told(h)).toEqual(['u - - 2 0']);
    // It commits, with the time at which it began.
    server.transactions = [];
    server.calls = [];
    commit(server, 0, { 1: row(1, 0, early) });
    await h.run();
    expect(told(h)).toEqual(['u - - 2 0', 'u - - 1 0']);
  });

  test('where the views are hidden, or on a standby, the overlap decides', async () => {
    for (const change of [
      (server: FakeOracle) => server.unreadable.add('GV$SESSION'),
      (server: FakeOracle) => (server.role = 'PHYSICAL STANDBY'),
    ]) {
      const server = serverWith({ 'Q.ORD': ORD });
      change(server);
      const h = polling(server, { tables: BY_TIME, timeZone: 'UTC', overlapMs: 60_000 });
      await h.run();
      const early = now(server);
      pass(server, 50);
      commit(server, 0, { 2: row(2, 0, now(server)) });
      await h.run();
      commit(server, 0, { 1: row(1, 0, early) });
      await h.run();
      await h.run();
      expect(told(h)).toEqual(['u - - 2 0', 'u - - 1 0']);
      expect(
        server.statements.some((sql) => sql.includes('FROM GV$TRANSACTION') && !sql.includes('ROWNUM')),
      ).toBe(false);
      expect(h.close()).toEqual([]);
    }
    harness = null;
  });

  test('a column that holds local times is looked at since before its clock was put back', async () => {
    const server = serverWith({ 'Q.ORD': { ...ORD, columns: { ...ORD.columns, UPDATED: 'DATE' } } });
    // The clocks go back in Berlin at 01:00 UTC.
    server.clockUs = Date.UTC(2026, 9, 25, 0, 50) * 1000;
    const h = polling(server, { tables: BY_TIME, timeZone: 'Europe/Berlin' });
    await h.run();
    commit(server, 0, { 1: row(1, 0, '2026-10-25T02:50:00') });
    await h.run();
    pass(server, 20 * 60);
    // 01:10 UTC: it is 02:10 for the second time.
    commit(server, 0, { 2: row(2, 0, '2026-10-25T02:10:00') });
    await h.run();
    expect(told(h)).toEqual(['u - - 1 0', 'u - - 2 0']);
  });

  test.each([
    ['DATE', '2026-01-01T00:00:10'],
    ['TIMESTAMP(6)', '2026-01-01T00:00:10.500000000'],
    ['TIMESTAMP(6) WITH LOCAL TIME ZONE', '2026-01-01T00:00:10.500000000+00:00'],
    ['TIMESTAMP(6) WITH TIME ZONE', '2026-01-01T09:00:10.500000000+09:00'],
  ])('%s: each time is compared as what it is', async (type, text) => {
    const server = serverWith({ 'Q.ORD': { ...ORD, columns: { ...ORD.columns, UPDATED: type } } });
    const h = polling(server, { tables: BY_TIME, timeZone: 'UTC' });
    await h.run();
    pass(server, 11);
    commit(server, 0, { 1: row(1, 0, text), 2: row(2, 0, text), 3: row(3, 0, text), 4: row(4, 0, text) });
    await h.run();
    await h.run();
    expect(told(h)).toEqual([1, 2, 3, 4].map((id) => `u - - ${id} 0`));
  });
});

describe('tables that are altered', () => {
  test('between the catalogue and the page: no row is given the wrong shape', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    commit(server, 0, { 1: row(1, 0, null) });
    const h = polling(server);
    await h.run();
    commit(server, 0, { 1: row(1, 1, null) });
    server.beforeRead = () => {
      server.beforeRead = null;
      const table = server.tables[0]!;
      table.columns = [...table.columns, fakeColumn('MORE', 'VARCHAR2(10)')];
      table.lastDdl = server.currentScn;
      commit(server, 0, { 1: { ...row(1, 2, null), MORE: 'x' } });
    };
    await h.run();
    expect(h.events.at(-1)).toMatchObject({ op: 'u', after: { ID: '1', V: '2', MORE: 'x' } });
    expect(h.events).toHaveLength(2);
  });

  test('twice within a second: the columns are asked for again until that is over', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.justAltered = true;
    commit(server, 0, { 1: row(1, 0, null) });
    const h = polling(server);
    await h.run();
    const table = server.tables[0]!;
    table.columns = [...table.columns, fakeColumn('MORE', 'VARCHAR2(10)')];
    commit(server, 0, { 1: { ...row(1, 1, null), MORE: 'x' } });
    await h.run();
    expect(h.events.at(-1)).toMatchObject({ after: { MORE: 'x' } });
  });

  test('a column that is gone ends a page, and the table is read as it is now', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    commit(server, 0, { 1: row(1, 0, null) });
    const h = polling(server);
    await h.run();
    server.beforeRead = () => {
      server.beforeRead = null;
      const table = server.tables[0]!;
      table.columns = table.columns.filter(({ name }) => name !== 'V');
      table.lastDdl = server.currentScn;
      commit(server, 0, { 2: { ID: '2', UPDATED: null } });
    };
    await h.run();
    expect(h.events.slice(1).map(({ after }) => after)).toContainEqual({ ID: '2', UPDATED: null });
  });
});

describe('going over to the log', () => {
  const gone = async (before: DeliveredBefore): Promise<{ rows: string[]; state: string | null }> => {
    const rows: string[] = [];
    let state: string | null = null;
    for (const id of before.tables) await before.compare(id, never);
    for (const { parts, state: now } of before.tables.flatMap((id) => [...before.gone(id)])) {
      for (const part of parts)
        for (const row of part.rows)
          rows.push(part.columns.map((name, i) => `${name}=${String(row[i])}`).join(' '));
      state = now.get('polled') ?? null;
    }
    await before[Symbol.asyncDispose]();
    return { rows: rows.sort(), state };
  };
  const polled = async (remember: 'keys' | 'rows' | 'overlap'): Promise<[FakeOracle, PollHarness]> => {
    const server = serverWith({ 'Q.ORD': ORD });
    commit(server, 0, { 1: row(1, 1, null), 2: row(2, 2, null), 3: row(3, 3, null), 4: row(4, 4, null) });
    const h = polling(server, {
      tables: { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED'], remember } },
      timeZone: 'UTC',
    });
    await h.run();
    return [server, h];
  };

  test.each([
    ['rows', 'ID=1 V=1 UPDATED=null', 'ID=3 V=3 UPDATED=null'],
    ['keys', 'ID=1', 'ID=3'],
  ] as const)('tells once of what is gone, with remembered %s', async (remember, first, third) => {
    const [server, h] = await polled(remember);
    commit(server, 0, { 1: null, 2: null, 3: null, 5: row(5, 5, null) });
    const open = await h.before();
    expect(open.untold).toEqual([]);
    // There when the log began: its delete is in the log.
    const [schema] = await h.describe();
    const read = readRow(schema!, [2, 2, null], { connector: 'oracle' });
    const saw = open.saw([{ ...read, op: 'd', before: [2, ABSENT, ABSENT], after: null }])?.get('polled');
    const { rows, state } = await gone(open);
    expect(rows).toEqual([first, third]);
    // Killed before that was durable, and behind it.
    expect((await gone(await h.before(saw))).rows).toEqual([first, third]);
    expect((await gone(await h.before(state!))).rows).toEqual([]);
  });

  test('tells of what a snapshot has read, if it is gone when the tables are looked at', async () => {
    const [server, h] = await polled('keys');
    commit(server, 0, { 1: null });
    const open = await h.before();
    const [schema] = await h.describe();
    const read = [1, 2, 3].map((id) => readRow(schema!, [id, id, null], { connector: 'oracle' }));
    expect(open.saw(read)).toBeNull();
    expect((await gone(open)).rows).toEqual(['ID=1']);
  });

  test('says so where rows are not remembered, or what is remembered of them is another’s', async () => {
    const [server, h] = await polled('overlap');
    commit(server, 0, { 1: null });
    const open = await h.before();
    expect(open.untold).toEqual([expect.stringContaining('did not remember all rows of Q.ORD')]);
    expect((await gone(open)).rows).toEqual([]);
    h.close();
    const [other, remembering] = await polled('keys');
    commit(other, 0, { 1: null });
    const foreign = await remembering.before('{"v":1,"kept":"0123456789abcdef:7","shapes":{}}');
    expect(foreign.untold).toHaveLength(1);
    expect((await gone(foreign)).rows).toEqual([]);
  });
});

describe('preflight', () => {
  test('names what is missing, with the statement that grants or makes it', async () => {
    const server = serverWith({ 'Q.ORD': ORD, 'Q.SECRET': ORD });
    server.unreadable.add('GV$TRANSACTION').add('Q.SECRET');
    const rows = Array.from({ length: 10_000 }, (_, i) => [i + 1, row(i + 1, 0, null)] as const);
    commit(server, 0, Object.fromEntries(rows));
    const h = polling(server, { tables: BY_TIME });
    const findings = await h.preflight();
    const fixes = findings.flatMap(({ fix }) => fix ?? []).join('\n');
    expect(fixes).toContain('GRANT SELECT ON SYS.GV_$TRANSACTION TO "POLLER";');
    expect(fixes).toContain('GRANT SELECT ON "Q"."SECRET" TO "POLLER";');
    expect(fixes).toContain('CREATE INDEX "Q".HEADWATER_POLL ON "Q"."ORD" ("UPDATED", "ID") ONLINE;');
    expect(fixes).toContain('source.poll.time_zone');
    server.tables[0]!.indexes = ['UPDATED'];
    expect((await h.preflight()).map(({ message }) => message)).toContain(
      'An index serves the polling of Q.ORD (timestamp).',
    );
  });

  test('an index on COALESCE of the columns is known', async () => {
    const server = serverWith({ 'Q.ORD': { ...ORD, columns: { ...ORD.columns, MADE: 'TIMESTAMP(6)' } } });
    server.tables[0]!.indexes = ['COALESCE("UPDATED","MADE")'];
    const tables = { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED', 'MADE'] } } as const;
    const h = polling(server, { tables, timeZone: 'UTC' });
    expect((await h.preflight()).map(({ message }) => message)).toContain(
      'An index serves the polling of Q.ORD (timestamp).',
    );
  });

  test('a server that does not let one in is a finding', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.faults.push({ on: 'CONNECT', message: 'ORA-01017: invalid username/password', times: 1 });
    const [finding] = await polling(server).preflight();
    expect(finding).toMatchObject({ level: 'error', code: 'source.auth-failed' });
  });
});

test('in a pluggable database each session is in it', async () => {
  const server = serverWith({ 'Q.ORD': ORD });
  server.pdb = 'SHOP';
  commit(server, 0, { 1: row(1, 0, null) });
  const h = polling(server);
  await h.run();
  expect(told(h)).toEqual(['r - - 1 0']);
});

test('a connection that breaks ends the attempt, and the next goes on', async () => {
  const server = serverWith({ 'Q.ORD': ORD });
  commit(server, 0, { 1: row(1, 0, null) });
  const h = polling(server);
  await h.run();
  commit(server, 0, { 1: row(1, 1, null) });
  server.faults.push({ on: 'SQL', within: 'FETCH FIRST', message: 'ORA-03113: end-of-file', times: 1 });
  await expect(h.run()).rejects.toMatchObject({ code: 'source.connection-lost' });
  await h.run();
  expect(told(h)).toEqual(['r - - 1 0', 'u - - 1 1']);
});
