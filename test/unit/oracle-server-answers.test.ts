/** What the server may answer that is not what it answers nearly always: NULLs, nothing, and things of other kinds. */
import { describe, expect, test } from 'vitest';
import type { TableId } from '../../src/model/table.ts';
import { CommitLog } from '../../src/readers/oracle/commit-log.ts';
import { capturedTables, describeTable } from '../../src/readers/oracle/catalogue.ts';
import {
  characterSet,
  currentScn,
  readDatabase,
  serverOffsetMinutes,
} from '../../src/readers/oracle/database.ts';
import { logFileOf, readThreads } from '../../src/readers/oracle/logs/log-files.ts';
import { RedoDictionaries } from '../../src/readers/oracle/logs/redo-dictionary.ts';
import { MiningSession } from '../../src/readers/oracle/mining/mining-session.ts';
import { redoRow, redoStatement } from '../../src/readers/oracle/mining/redo-row.ts';
import { WindowSize } from '../../src/readers/oracle/mining/window.ts';
import { hiddenViews, takeMark } from '../../src/readers/oracle/polling-mark.ts';
import { quoteIdent } from '../../src/readers/oracle/quoting.ts';
import { ServerClock } from '../../src/readers/oracle/server-clock.ts';
import {
  OracleError,
  type OracleRow,
  type OracleSession,
} from '../../src/readers/oracle/session/oracle-session.ts';
import { DEFAULT_LIMITS } from '../../src/readers/oracle/settings.ts';
import { compileTablePatterns } from '../../src/readers/table-patterns.ts';

type Answers = Readonly<Record<string, readonly OracleRow[] | Error>>;

/** Answers a statement by a part of its text; others have no rows. */
function answering(answers: Answers): OracleSession {
  const answer = (sql: string): readonly OracleRow[] => {
    const found = Object.entries(answers).find(([part]) => sql.includes(part))?.[1] ?? [];
    if (found instanceof Error) throw found;
    return found;
  };
  return {
    execute: (sql) => Promise.resolve().then(() => void answer(sql)),
    query: (sql) => Promise.resolve().then(() => answer(sql)),
    columns: () => Promise.reject(new Error('not asked here')),
    open: () => Promise.reject(new Error('not asked here')),
    interrupt: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const bug = { code: 'internal.bug' };

describe('the database', () => {
  test('without a row, an SCN, or a zone is a bug', async () => {
    await expect(readDatabase(answering({}))).rejects.toMatchObject(bug);
    await expect(currentScn(answering({}))).rejects.toMatchObject(bug);
    await expect(currentScn(answering({ CURRENT_SCN: [['1.5']] }))).rejects.toMatchObject(bug);
    await expect(serverOffsetMinutes(answering({ SYSTIMESTAMP: [['EUROPE/BERLIN']] }))).rejects.toMatchObject(
      bug,
    );
  });

  test('its clock is ahead or behind', async () => {
    expect(await serverOffsetMinutes(answering({ SYSTIMESTAMP: [['-03:30']] }))).toBe(-210);
    expect(await serverOffsetMinutes(answering({ SYSTIMESTAMP: [['+05:45']] }))).toBe(345);
  });

  test('a character set that it does not tell is taken for UTF-8', async () => {
    expect(await characterSet(answering({}))).toBe('AL32UTF8');
    expect(await characterSet(answering({ NLS_: [['NLS_CHARACTERSET', 'WE8MSWIN1252']] }))).toBe(
      'WE8MSWIN1252',
    );
  });
});

describe('the catalogue', () => {
  const id: TableId = { schema: 'Q', table: 'T' };
  const column = (name: string, type: string, more: Partial<Record<number, string | null>> = {}): OracleRow =>
    [name, type, '22', '0', null, null, 'N', 'NO', 'NO', null, null].map((cell, i) =>
      i in more ? (more[i] ?? null) : cell,
    );
  const FROM_COLUMNS = 'FROM ALL_TAB_COLS';

  test('a table without a visible column is none', async () => {
    expect(await describeTable(answering({}), id)).toBeNull();
    const hidden = column('H', 'NUMBER', { 7: 'YES' });
    expect(await describeTable(answering({ [FROM_COLUMNS]: [hidden] }), id)).toBeNull();
  });

  test('the shape of columns', async () => {
    const described = await describeTable(
      answering({
        [FROM_COLUMNS]: [
          column('I', 'NUMBER', { 5: '0' }),
          column('F', 'FLOAT', { 4: '126' }),
          column('N', 'NUMBER', { 4: '5', 5: '2' }),
          column('R', 'RAW', { 2: '16' }),
          column('T', 'TIMESTAMP(3)', { 5: '3' }),
          column('V', 'VARCHAR2', { 3: '40', 6: 'Y', 10: " 'x' \n" }),
          column('C', 'CLOB', { 2: '4000' }),
        ],
      }),
      id,
    );
    expect(
      described?.columns.map((each) => [
        each.name,
        each.length,
        each.precision,
        each.scale,
        each.nullable,
        each.default,
      ]),
    ).toEqual([
      ['I', null, 38, 0, false, null],
      ['F', null, 126, null, false, null],
      ['N', null, 5, 2, false, null],
      ['R', 16, null, null, false, null],
      ['T', null, null, 3, false, null],
      ['V', 40, null, null, true, "'x'"],
      ['C', null, null, null, false, null],
    ]);
  });

  test('an object may have no number that is the table’s own, and partitions have segments of theirs', async () => {
    const described = await describeTable(
      answering({
        [FROM_COLUMNS]: [column('I', 'NUMBER')],
        'FROM ALL_OBJECTS': [
          ['7', '8', 'TABLE PARTITION'],
          ['9', null, 'TABLE PARTITION'],
        ],
      }),
      id,
    );
    expect(described).toMatchObject({ objectId: null, dataObjectIds: ['8'] });
  });

  test('without a primary key: the first unique index whose columns are all NOT NULL', async () => {
    const columns = [column('A', 'NUMBER'), column('B', 'NUMBER'), column('C', 'NUMBER', { 6: 'Y' })];
    const keyOf = async (indexes: readonly OracleRow[]): Promise<readonly string[] | undefined> =>
      (await describeTable(answering({ [FROM_COLUMNS]: columns, 'FROM ALL_INDEXES': indexes }), id))?.key;
    const nullable = [
      ['U1', 'A'],
      ['U1', 'C'],
    ];
    const expression = [['U2', 'SYS_NC00004$']];
    const good = [
      ['U3', 'B'],
      ['U3', 'A'],
    ];
    expect(await keyOf([...nullable, ...expression, ...good, ['U4', 'A']])).toEqual(['B', 'A']);
    expect(await keyOf([...nullable, ...expression])).toEqual([]);
  });

  test('what is captured, and why not; a table that is dropped in this moment is left out', async () => {
    const tables = [
      ['Q', 'T', null, 'NO', 'N', null],
      ['Q', 'NEST', null, 'YES', 'N', '5'],
      ['Q', 'TEMP', null, 'NO', 'Y', '5'],
      ['Q', 'IOT', 'IOT', 'NO', 'N', '5'],
      ['Q', 'MLOG$_T', null, 'NO', 'N', '5'],
    ];
    const there = answering({ 'FROM ALL_TABLES': tables, [FROM_COLUMNS]: [column('A', 'NUMBER')] });
    const patterns = compileTablePatterns(['Q.*']);
    const found = await capturedTables(there, patterns, 'here');
    expect(found.unmatched).toBeNull();
    expect(found.tables.map((table) => [table.id.table, table.estimatedRows, table.obstacle])).toEqual([
      ['T', null, null],
      ['NEST', 5, expect.stringContaining('nested')],
      ['TEMP', 5, expect.stringContaining('temporary')],
      ['IOT', 5, expect.stringContaining('index-organized')],
    ]);
    const gone = await capturedTables(answering({ 'FROM ALL_TABLES': tables }), patterns, 'here');
    expect(gone).toEqual({ tables: [], unmatched: null });
    const none = await capturedTables(answering({}), compileTablePatterns(['!Q.X']), 'here');
    expect(none.unmatched?.message).toBe('source.tables matches no table in here.');
  });
});

describe('the log', () => {
  test('of a thread much may be NULL', async () => {
    const [thread, other] = await readThreads(
      answering({
        'FROM V$THREAD': [
          ['1', 'OPEN', 'PUBLIC', null, null, null, null],
          ['2', 'CLOSED', 'DISABLED', '3', '4', '5', '6'],
        ],
      }),
    );
    expect(thread).toEqual({
      thread: 1,
      open: true,
      enabled: 'PUBLIC',
      checkpoint: 0n,
      enabledAt: 0n,
      disabledAt: 0n,
      last: null,
    });
    expect(other).toEqual({
      thread: 2,
      open: false,
      enabled: 'DISABLED',
      checkpoint: 3n,
      enabledAt: 4n,
      disabledAt: 5n,
      last: 6n,
    });
  });

  test('a file is online or archived', () => {
    const common = { name: '/f', first: 10n, thread: 1, sequence: 5, bytes: 512 };
    expect(logFileOf(['/f', '10', null, '5', '1', '512', null])).toEqual({
      ...common,
      next: null,
      destination: null,
    });
    expect(logFileOf(['/f', '10', '20', '5', '1', '512', 'D'])).toEqual({
      ...common,
      next: 20n,
      destination: 'D',
    });
  });

  test('of several dictionaries the latest that is whole', async () => {
    const log = (sequence: number, begins: string, ends: string, thread = '1'): OracleRow => [
      thread,
      String(sequence),
      String(sequence * 100),
      String(sequence * 100 + 100),
      begins,
      ends,
    ];
    const before = (logs: readonly OracleRow[]): Promise<unknown> =>
      new RedoDictionaries({
        session: answering({ DICTIONARY_BEGIN: logs }),
        destinations: () => Promise.resolve(['D']),
        wait: () => Promise.resolve(),
        attempts: 1,
      }).before(10_000n);
    const [old, begun, ended] = [log(3, 'YES', 'YES'), log(5, 'YES', 'NO'), log(7, 'NO', 'YES')];
    const whole = { first: 500n, last: 799n };
    expect(await before([old, begun, ended])).toEqual(whole);
    expect(await before([ended, begun, old])).toEqual(whole);
    // One that has begun and not ended is none, nor one whose beginning is gone, or in another thread.
    expect(await before([old, begun])).toEqual({ first: 300n, last: 399n });
    expect(await before([old, log(5, 'YES', 'NO', '2'), log(7, 'NO', 'YES', '2')])).toEqual(whole);
    expect(await before([log(5, 'YES', 'NO', '2'), ended])).toBeNull();
    expect(await before([ended])).toBeNull();
  });

  test('a row of the log may have nothing but its SCN and its code', () => {
    expect(
      redoRow(['5', null, null, null, null, '7', ...Array.from<null>({ length: 12 }).fill(null)]),
    ).toEqual({
      scn: 5n,
      thread: 0,
      rsId: '',
      ssn: 0,
      xid: '',
      code: 7,
      time: null,
      undo: false,
      continued: false,
      status: 0,
      info: null,
      owner: null,
      table: null,
      rowId: null,
      objectId: null,
      dataObjectId: null,
      user: null,
      sql: null,
    });
  });

  test('thousands of tables: lists of a thousand, and none at all where that costs more than it saves', () => {
    const statement = (count: number): string =>
      redoStatement({
        pdb: null,
        tables: Array.from({ length: count }, (_, i) => `Q.T${i}`),
        lobs: false,
        statementEnds: false,
      });
    const lists = (sql: string): number => sql.split('TABLE_NAME IN (').length - 1;
    // Once for changes and once for DDL.
    expect(lists(statement(1000))).toBe(2);
    expect(lists(statement(1001))).toBe(4);
    expect(lists(statement(3000))).toBe(6);
    expect(lists(statement(3001))).toBe(0);
    expect(statement(3001)).not.toContain('TABLE_NAME LIKE');
  });

  test('a LogMiner session that ends badly is no end, and memory that is not told is none', async () => {
    const file = logFileOf(['/f', '10', null, '5', '1', '512', null]);
    const mining = new MiningSession(answering({ END_LOGMNR: new OracleError('ORA-03113') }), 'online');
    await mining.start([file], 1n, 2n);
    await expect(mining.end()).rejects.toThrow('ORA-03113');
    expect(await mining.memory()).toBe(0);
    const ended = new MiningSession(answering({ END_LOGMNR: new OracleError('ORA-01307') }), 'online');
    await ended.start([file], 1n, 2n);
    await ended.end();
    expect(ended.since).toBe(0);
  });
});

describe('windows', () => {
  const sizes = (of: { start: bigint; least: bigint; most: bigint }): WindowSize =>
    new WindowSize({ ...DEFAULT_LIMITS, windowStart: of.start, windowLeast: of.least, windowMost: of.most });

  test('grow where they are fast, shrink where they are slow, and keep within their bounds', () => {
    const window = sizes({ start: 4000n, least: 1500n, most: 10_000n });
    window.took(4_999);
    expect(window.size).toBe(8000n);
    window.took(4_999);
    expect(window.size).toBe(10_000n);
    window.took(5_000);
    window.took(60_000);
    expect(window.size).toBe(10_000n);
    window.took(60_001);
    expect(window.size).toBe(5000n);
    expect(window.halve()).toBe(true);
    expect(window.size).toBe(2500n);
    expect(window.halve()).toBe(true);
    expect(window.size).toBe(1500n);
    expect(window.halve()).toBe(false);
    expect(window.size).toBe(1500n);
  });
});

describe('the server’s clock', () => {
  const at = (iso: string): number => Date.parse(iso);

  test('summer time ends: each hour of the two is the one next to the row before', () => {
    const clock = new ServerClock(120);
    expect(clock.utcMs(null)).toBe(0);
    expect(clock.utcMs('2024-10-27 02:59:59')).toBe(at('2024-10-27T00:59:59Z'));
    clock.asked(120, at('2024-10-27T00:59:59Z'));
    clock.asked(60, at('2024-10-27T01:00:30Z'));
    // Rows of before the change are read behind it.
    expect(clock.utcMs('2024-10-27 02:59:59')).toBe(at('2024-10-27T00:59:59Z'));
    expect(clock.utcMs('2024-10-27 02:00:00')).toBe(at('2024-10-27T01:00:00Z'));
    expect(clock.utcMs(null)).toBe(at('2024-10-27T01:00:00Z'));
    // A quiet night does not bring the old offset back.
    expect(clock.utcMs('2024-10-27 05:00:00')).toBe(at('2024-10-27T04:00:00Z'));
  });

  test('summer time begins: a row of before is read with the offset of before', () => {
    const clock = new ServerClock(60);
    expect(clock.utcMs('2024-03-31 01:59:50')).toBe(at('2024-03-31T00:59:50Z'));
    clock.asked(120, at('2024-03-31T01:00:30Z'));
    expect(clock.utcMs('2024-03-31 01:59:55')).toBe(at('2024-03-31T00:59:55Z'));
    expect(clock.utcMs('2024-03-31 03:00:00')).toBe(at('2024-03-31T01:00:00Z'));
  });
});

test('commits are remembered for as long as a snapshot may ask, the oldest forgotten first', () => {
  const log = new CommitLog();
  const count = 200_000;
  for (let i = 1; i <= count; i++) log.add(`t${i}`, BigInt(i));
  expect(log.last).toBe(BigInt(count));
  expect(log.scnOf('t1')).toBeUndefined();
  for (const i of [count, count - 65_535]) expect(log.scnOf(`t${i}`)).toBe(BigInt(i));
  log.add(`t${count - 65_535}`, 7n);
  expect(log.scnOf(`t${count - 65_535}`)).toBe(7n);
  expect(log.last).toBe(BigInt(count));
});

test.each(['', 'a"b', 'a\0b', 'x'.repeat(129), 'é'.repeat(65)])(
  'a name that is none never goes into a statement: %j',
  (name) => {
    expect(() => quoteIdent(name)).toThrow(expect.objectContaining(bug) as Error);
    expect(quoteIdent("It's $#")).toBe(`"It's $#"`);
  },
);

describe('running transactions', () => {
  const CLOCK = [['2026-01-01T00:00:10.000005']];

  test('one whose age is not told may have begun at any time', async () => {
    const mark = await takeMark(
      answering({
        SYS_EXTRACT_UTC: CLOCK,
        'FROM GV$TRANSACTION': [['AA', null]],
        'FROM GV$SESSION': [['1.2.3', null]],
      }),
      true,
    );
    expect(mark.startedUs).toBeNull();
    expect(mark.running).toContain('AA');
    const told = await takeMark(
      answering({ SYS_EXTRACT_UTC: CLOCK, 'FROM GV$TRANSACTION': [['AA', '4']] }),
      true,
    );
    expect(told.startedUs).toBe((Date.parse('2026-01-01T00:00:10Z') / 1000 - 5) * 1_000_000);
  });

  test('a clock that is none is a bug; a view that may not be read is hidden, and a lost connection is neither', async () => {
    await expect(takeMark(answering({ SYS_EXTRACT_UTC: [['noon']] }), true)).rejects.toMatchObject(bug);
    expect(await hiddenViews(answering({ GV$SESSION: new OracleError('ORA-01031') }))).toEqual([
      'GV$SESSION',
    ]);
    await expect(hiddenViews(answering({ GV$SESSION: new OracleError('ORA-03113') }))).rejects.toThrow(
      'ORA-03113',
    );
  });
});

describe('errors', () => {
  test('have the driver’s number where the text has none, and numbers alone', () => {
    expect(new OracleError('something', 1555).ora).toEqual([1555]);
    expect(new OracleError('ORA-01555: too old', 1555).ora).toEqual([1555]);
    expect(new OracleError('something', 0).message).toBe('an error without a number');
    expect(new OracleError("ORA-12899: value too large for 'secret'").message).toBe('ORA-12899');
  });
});
