/**
 * The live suite, second part: privileges as doctor tells them, statements that are seldom run, extremes of types,
 * storage of LOBs, DDL of segments, load and kills. ORACLE_ADMIN_URL (a DBA in CDB$ROOT) is needed for some;
 * ORACLE_LOAD_MINUTES (1) and ORACLE_LOAD_ROWS (200,000) say how much load. By hand, and into the table of docs/oracle.md:
 * RAC, standby, a deleted archived log, ORA-01555 with little undo, and the server's memory over 8 hours.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { SILENT } from '../../src/observability/log.ts';
import { LogCollector } from '../../src/readers/oracle/logs/collect-logs.ts';
import { RedoDictionaries } from '../../src/readers/oracle/logs/redo-dictionary.ts';
import { MiningSession } from '../../src/readers/oracle/mining/mining-session.ts';
import { createOracleReader } from '../../src/readers/oracle/reader.ts';
import { SESSION_SETTINGS } from '../../src/readers/oracle/session/session-settings.ts';
import { textOf } from '../support/oracle/harness.ts';
import {
  application,
  create,
  keep,
  live,
  type Live,
  never,
  reader,
  run,
  SCHEMA,
  serverOf,
  sql,
} from '../support/oracle/live.ts';
import { modelOf } from '../support/oracle/table-models.ts';

const ADMIN = process.env['ORACLE_ADMIN_URL'];
const MINUTES = Number(process.env['ORACLE_LOAD_MINUTES'] ?? 1);
const ROWS = Number(process.env['ORACLE_LOAD_ROWS'] ?? 200_000);

afterAll(() => sql[Symbol.asyncDispose]());

test.skipIf(ADMIN === undefined)(
  'a user who may do nothing: the grants that doctor tells are all that is needed',
  async () => {
    await create('LIVE_GRANTS', 'ID NUMBER(9) PRIMARY KEY');
    await using admin = await serverOf(ADMIN!).connect('utility', never);
    await admin.execute('DROP USER C##BARE CASCADE').catch(() => undefined);
    await admin.execute('CREATE USER C##BARE IDENTIFIED BY bare CONTAINER=ALL');
    await admin.execute('GRANT CREATE SESSION, SET CONTAINER TO C##BARE CONTAINER=ALL');
    const url = new URL(process.env['ORACLE_URL']!.replace(/^oracle:/, 'http:'));
    url.username = 'C%23%23BARE';
    url.password = 'bare';
    const bare = serverOf(url.href.replace(/^http:/, 'oracle:'));
    const { harness } = await live(['LIVE_GRANTS']);
    const granted = new Set<string>();
    for (let round = 0; round < 30; round++) {
      await using asked = createOracleReader(
        { ...harness.options, user: 'C##BARE' },
        {
          connect: bare.connect,
          unknownErrors: harness.unknownErrors,
          firstConnection: harness.firstConnection,
          log: SILENT,
        },
      );
      const errors = (await asked.preflight(never)).filter(({ level }) => level === 'error');
      for (const { message, fix } of errors) process.stderr.write(`${message} ${fix ?? ''}\n`);
      if (errors.length === 0) break;
      const grants = errors.flatMap(({ fix }) => fix?.match(/GRANT [^;]+/g) ?? []);
      const further = grants.filter((grant) => !granted.has(grant));
      expect(further, 'doctor tells the same again, or nothing').not.toEqual([]);
      for (const grant of further) {
        granted.add(grant);
        // On a table of the PDB it is granted there, by its owner.
        if (grant.includes(`"${SCHEMA}"`)) await sql.execute(grant);
        else await admin.execute(grant);
      }
    }
    process.stderr.write(`${[...granted].join('\n')}\n`);
    await harness.close();
    await admin.execute('DROP USER C##BARE CASCADE');
  },
  300_000,
);

test('statements that a run seldom comes to', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY');
  const { harness } = await live(['LIVE_ORD']);
  await using utility = await reader.connect('utility', never);
  await using session = await reader.connect('mining', never);
  for (const each of [utility, session]) {
    for (const statement of SESSION_SETTINGS) await each.execute(statement);
  }
  const collector = new LogCollector(utility, harness.options, (ms) => delay(ms));
  const [edge, oldest] = [await collector.edge(), await collector.oldest()];
  process.stderr.write(`logs reach from ${oldest} to ${edge}\n`);
  expect((await collector.missing(1n, 'asked for')).message).toContain('SCN 1');
  const from = edge! - 10n > oldest! ? edge! - 10n : oldest!;
  const { selection } = await collector.collect(from, 0);
  const mining = new MiningSession(session, 'online');
  await mining.start(selection.files, from, edge!);
  process.stderr.write(`${(await mining.files()).join('\n')}\nmemory ${await mining.memory()}\n`);
  await mining.end();
  const dictionaries = new RedoDictionaries({
    session: utility,
    destinations: () => collector.destinations(),
    wait: () => delay(1_000),
    attempts: 1,
  });
  const dictionary = await dictionaries.before(edge!);
  process.stderr.write(`a dictionary is ${dictionary === null ? 'not ' : ''}in the archived logs\n`);
  await harness.close();
}, 300_000);

/** Type → expressions of values. */
const EXTREMES: Readonly<Record<string, readonly string[]>> = {
  NUMBER: ['1E125', '-1E125', '1E-130', '0.1', '9'.repeat(38), '-0.0000001'],
  'NUMBER(38)': ['9'.repeat(38), `-${'9'.repeat(38)}`, '0'],
  DATE: ["DATE '0001-01-01'", "TO_DATE('9999-12-31 23:59:59','YYYY-MM-DD HH24:MI:SS')"],
  'TIMESTAMP(0)': ["TIMESTAMP '2024-02-29 23:59:59'"],
  'TIMESTAMP(9)': ["TIMESTAMP '1969-12-31 23:59:59.999999999'", "TIMESTAMP '2024-02-29 00:00:00'"],
  'TIMESTAMP(6) WITH TIME ZONE': [
    "TIMESTAMP '2024-03-09 14:05:06.5 -12:00'",
    "TIMESTAMP '2024-03-09 14:05:06.5 +14:00'",
    "TIMESTAMP '2024-07-09 14:05:06.5 Europe/Berlin'",
  ],
  'TIMESTAMP(6) WITH LOCAL TIME ZONE': ["TIMESTAMP '2024-03-09 14:05:06.000001 +02:00'"],
  'INTERVAL YEAR TO MONTH': ["INTERVAL '-99-11' YEAR TO MONTH"],
  'INTERVAL DAY TO SECOND': ["INTERVAL '99 23:59:59.999999' DAY TO SECOND"],
  BINARY_DOUBLE: ['BINARY_DOUBLE_NAN', '-BINARY_DOUBLE_INFINITY', '1.7976931348623157E+308D', '4.9E-324D'],
  BINARY_FLOAT: ['BINARY_FLOAT_INFINITY', '1.17549435E-38F'],
  'RAW(2000)': ["UTL_RAW.COPIES(HEXTORAW('FF'),2000)", "HEXTORAW('00')"],
  'VARCHAR2(100)': [`''''`, `'a' || CHR(10) || 'b\\'`, `'''; drop'`, `''`, `'NULL'`, `'||'`],
  'NVARCHAR2(20)': [String.raw`UNISTR('\D83D\DE00')`, String.raw`UNISTR('\0000')`, `N'''x'`],
  'CHAR(5)': [`'ab'`, `' '`],
};

test('extremes of each type: streamed and read are one, in inserts, updates and deletes', async () => {
  for (const [type, values] of Object.entries(EXTREMES)) {
    await create('LIVE_EXTREMES', `ID NUMBER(9) PRIMARY KEY, V ${type}`);
    const run_ = await live(['LIVE_EXTREMES']);
    for (const [i, value] of values.entries()) await run(`INSERT INTO LIVE_EXTREMES VALUES (${i}, ${value})`);
    await run('COMMIT');
    const decoder = modelOf({ V: type }).decoders[0]!;
    const rows = await sql.query(`SELECT TO_CHAR(ID), ${decoder.select('V')} FROM LIVE_EXTREMES ORDER BY ID`);
    const read = rows.map(([, value]) => (value == null ? null : textOf(decoder.fromRow(value))));
    await run('UPDATE LIVE_EXTREMES SET V = NULL', 'COMMIT', 'DELETE FROM LIVE_EXTREMES', 'COMMIT');
    await run_.catchUp();
    await keep(run_, `L-extremes-${type.replaceAll(/\W+/g, '-')}`, `extremes of ${type}`, ['LIVE_EXTREMES']);
    const images = (op: string, image: 'before' | 'after'): unknown[] =>
      run_.harness.events
        .filter((event) => event.op === op)
        .toSorted((a, b) => Number((a.after ?? a.before)?.['ID']) - Number((b.after ?? b.before)?.['ID']))
        .map((event) => event[image]?.['V']);
    expect(images('c', 'after'), type).toEqual(read);
    expect(images('u', 'before'), type).toEqual(read);
    expect(images('u', 'after'), type).toEqual(read.map(() => null));
    await run_.harness.close();
  }
}, 1_200_000);

test('32K strings, where the database has them', async () => {
  const extended = await create('LIVE_LONG', 'ID NUMBER(9) PRIMARY KEY, V VARCHAR2(32767)').then(
    () => true,
    () => false,
  );
  if (!extended) {
    process.stderr.write('MAX_STRING_SIZE is not EXTENDED: 32K strings were not looked at\n');
    return;
  }
  const run_ = await live(['LIVE_LONG'], { lobs: true });
  await run(`INSERT INTO LIVE_LONG VALUES (1, RPAD('''x', 30000, '''é'))`, 'COMMIT');
  const [row] = await sql.query('SELECT V FROM LIVE_LONG');
  await run_.catchUp();
  await keep(run_, 'L-long', '32K strings', ['LIVE_LONG']);
  expect(run_.harness.events.at(-1)?.after?.['V']).toBe(row?.[0]);
  await run_.harness.close();
}, 300_000);

test.each([
  ['in line', 'SECUREFILE (ENABLE STORAGE IN ROW)'],
  ['out of line', 'SECUREFILE (DISABLE STORAGE IN ROW)'],
  ['basicfile', 'BASICFILE (DISABLE STORAGE IN ROW)'],
])(
  'LOBs %s: written in pieces over windows, undone, trimmed, erased',
  async (kind, storage) => {
    await create('LIVE_LOB', 'ID NUMBER(9) PRIMARY KEY, BODY CLOB', `LOB (BODY) STORE AS ${storage}`);
    const run_ = await live(['LIVE_LOB'], {
      lobs: true,
      limits: { windowStart: 1_000n, windowMost: 1_000n },
    });
    const write = (id: number, calls: string): string =>
      `DECLARE c CLOB; n NUMBER := 2; BEGIN SELECT BODY INTO c FROM LIVE_LOB WHERE ID = ${id} FOR UPDATE; ${calls} END;`;
    await run(
      'INSERT INTO LIVE_LOB VALUES (1, EMPTY_CLOB())',
      'INSERT INTO LIVE_LOB VALUES (2, EMPTY_CLOB())',
    );
    for (let i = 0; i < 20; i++) {
      await run(write(1, `DBMS_LOB.WRITEAPPEND(c, 3000, RPAD('${i % 10}', 3000, 'x'));`));
    }
    await run(
      'SAVEPOINT A',
      write(2, "DBMS_LOB.WRITEAPPEND(c, 4, 'gone');"),
      'ROLLBACK TO A',
      write(2, "DBMS_LOB.WRITEAPPEND(c, 4, 'kept');"),
      'COMMIT',
      write(1, 'DBMS_LOB.TRIM(c, 5000);'),
      'COMMIT',
      write(2, 'DBMS_LOB.ERASE(c, n, 1);'),
      'COMMIT',
    );
    await run_.catchUp();
    await keep(run_, `L-lob-${kind.replaceAll(' ', '-')}`, `LOBs ${kind}`, ['LIVE_LOB']);
    const created = run_.harness.events.filter(({ op }) => op === 'c').map(({ after }) => after?.['BODY']);
    expect(created.map((text) => text?.length)).toEqual([60_000, 4]);
    expect(created[1]).toBe('kept');
    await run_.harness.close();
  },
  600_000,
);

test.each(['hybrid', 'online_catalog'] as const)(
  'DDL of segments between changes, strategy %s',
  async (strategy) => {
    await create('LIVE_SEG', 'ID NUMBER(9) PRIMARY KEY, QTY NUMBER(9)');
    const run_ = await live(['LIVE_SEG'], { strategy });
    let next = 0;
    const change = async (): Promise<void> => {
      next++;
      await run(`INSERT INTO LIVE_SEG VALUES (${next}, 0)`, 'UPDATE LIVE_SEG SET QTY = QTY + 1', 'COMMIT');
    };
    await sql.execute('DROP TABLE LIVE_COPY PURGE').catch(() => undefined);
    for (const ddl of [
      'ALTER TABLE LIVE_SEG ENABLE ROW MOVEMENT',
      'ALTER TABLE LIVE_SEG MOVE ONLINE',
      'ALTER TABLE LIVE_SEG SHRINK SPACE',
      'CREATE TABLE LIVE_COPY AS SELECT * FROM LIVE_SEG',
      'DROP TABLE LIVE_COPY PURGE',
    ]) {
      await change();
      // With online_catalog the reader has to be past what was before.
      await run_.catchUp();
      await sql.execute(ddl);
    }
    next++;
    await run(`INSERT /*+ APPEND */ INTO LIVE_SEG SELECT ${next}, 0 FROM DUAL`, 'COMMIT');
    await change();
    await run_.catchUp();
    await keep(run_, `L-segments-${strategy}`, `DDL of segments, ${strategy}`, ['LIVE_SEG']);
    await rebuilt(run_, 'LIVE_SEG');
    await run_.harness.close();
  },
  600_000,
);

test.skipIf(ADMIN === undefined)(
  'archived logs alone',
  async () => {
    await create('LIVE_SEG', 'ID NUMBER(9) PRIMARY KEY, QTY NUMBER(9)');
    await using admin = await serverOf(ADMIN!).connect('utility', never);
    await admin.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    const run_ = await live(['LIVE_SEG'], { archiveOnly: true });
    await run('INSERT INTO LIVE_SEG VALUES (1, 1)', 'COMMIT');
    await admin.execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
    await run_.catchUp();
    await rebuilt(run_, 'LIVE_SEG');
    await run_.harness.close();
  },
  300_000,
);

test(
  'killed at random under load: the changes rebuild the table',
  async () => {
    await create('LIVE_LOAD', 'ID NUMBER(9) PRIMARY KEY, QTY NUMBER(9)');
    const run_ = await live(['LIVE_LOAD'], { limits: { batchChanges: 50 } });
    await using writer = await application.connect('utility', never);
    const until = Date.now() + MINUTES * 60_000;
    const load = async (): Promise<void> => {
      for (let round = 1; Date.now() < until; round++) {
        await writer.execute(
          `BEGIN FOR i IN 1..50 LOOP INSERT INTO LIVE_LOAD VALUES (${round} * 100 + i, i); IF MOD(i, 7) = 0 THEN COMMIT; END IF; IF MOD(i, 11) = 0 THEN ROLLBACK; END IF; END LOOP; UPDATE LIVE_LOAD SET QTY = QTY + 1 WHERE MOD(ID, 13) = 0; DELETE FROM LIVE_LOAD WHERE MOD(ID, 5) = 0; COMMIT; END;`,
        );
      }
    };
    const kills = async (): Promise<void> => {
      const { harness } = run_;
      while (Date.now() < until) {
        await run_.catchUp();
        await harness.restart(Math.floor(Math.random() * (harness.events.length + 1)));
        await harness.open();
      }
    };
    await Promise.all([load(), kills()]);
    await run_.catchUp();
    await rebuilt(run_, 'LIVE_LOAD');
    await run_.harness.close();
  },
  (MINUTES + 10) * 60_000,
);

test('one large transaction beside many open ones, and how long changes take', async () => {
  await create('LIVE_LOAD', 'ID NUMBER(9) PRIMARY KEY, QTY NUMBER(9)');
  const run_ = await live(['LIVE_LOAD']);
  const open = await Promise.all(Array.from({ length: 20 }, () => application.connect('utility', never)));
  for (const [i, session] of open.entries()) {
    await session.execute(`INSERT INTO ${SCHEMA}.LIVE_LOAD VALUES (${-1 - i}, 0)`);
  }
  await run(`INSERT INTO LIVE_LOAD SELECT LEVEL, 0 FROM DUAL CONNECT BY LEVEL <= ${ROWS}`, 'COMMIT');
  for (const session of open) await session.execute('COMMIT');
  const begun = performance.now();
  await run_.catchUp();
  const seconds = (performance.now() - begun) / 1000;
  const memory = Math.round(process.memoryUsage().rss / 1024 ** 2);
  process.stderr.write(
    `${ROWS} rows of one transaction in ${seconds.toFixed(1)} s (${Math.round(ROWS / seconds)} a second), ${memory} MB\n`,
  );
  await rebuilt(run_, 'LIVE_LOAD');
  for (const rows of [100, 1_000, 10_000]) {
    const at = performance.now();
    await run(`UPDATE LIVE_LOAD SET QTY = QTY + 1 WHERE ID BETWEEN 1 AND ${Math.min(rows, ROWS)}`, 'COMMIT');
    await run_.catchUp();
    process.stderr.write(`${rows} rows were there after ${Math.round(performance.now() - at)} ms\n`);
  }
  await run_.harness.close();
  for (const session of open) await session[Symbol.asyncDispose]();
}, 1_200_000);

/** ID → QTY out of the changes is what the table holds. */
async function rebuilt({ harness }: Live, name: string): Promise<void> {
  const rows: Record<string, string | null | undefined> = {};
  for (const { op, table, before, after } of harness.events) {
    if (table !== `${SCHEMA}.${name}` || op === 'ddl') continue;
    if (op === 't') for (const id of Object.keys(rows)) delete rows[id];
    else if (op === 'd') delete rows[String(before?.['ID'])];
    else rows[String(after?.['ID'])] = after?.['QTY'];
  }
  const held = await sql.query(`SELECT TO_CHAR(ID), TO_CHAR(QTY) FROM ${name}`);
  expect(rows).toEqual(Object.fromEntries(held.map(([id, qty]) => [String(id), String(qty)])));
}
