/**
 * The live suite: a real Oracle, in the order of what the reader takes for granted. Each part says what it has seen,
 * and keeps the raw redo as a script in test/fixtures/oracle, so that the next change is tested against it without a
 * server. What it needs stands in test/support/oracle/live.ts; docker/compose.oracle.yaml has it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Image, valuesOf } from '../../src/model/raw-row.ts';
import { SILENT } from '../../src/observability/log.ts';
import { type OraclePosition, ORACLE_POSITIONS } from '../../src/readers/oracle/position.ts';
import type { OracleSource } from '../../src/readers/oracle/source-info.ts';
import { createSnapshot } from '../../src/snapshot/snapshot.ts';
import { textOf } from '../support/oracle/harness.ts';
import { application, create, keep, live, never, reader, run, SCHEMA, sql } from '../support/oracle/live.ts';
import { PollHarness } from '../support/oracle/poll-harness.ts';
import { modelOf } from '../support/oracle/table-models.ts';
import { parseTypeLines } from '../support/oracle/type-lines.ts';

afterAll(() => sql[Symbol.asyncDispose]());

test('preflight finds nothing to complain of', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(4000), QTY NUMBER(9)');
  const { harness } = await live(['LIVE_ORD']);
  const findings = await harness.reader!.preflight(never);
  for (const { level, check, message, fix } of findings)
    process.stderr.write(`${level} ${check}: ${message} ${fix ?? ''}\n`);
  expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
  await harness.close();
});

describe('literals', async () => {
  const documented = parseTypeLines(
    await readFile(join(import.meta.dirname, '../../docs/type-mapping/oracle.md'), 'utf8'),
  );
  const lines = documented.filter(
    ({ redo, type }) => redo !== null && !/^(JSON|BOOLEAN|XMLTYPE)$/.test(type),
  );

  test('every documented type: streamed, read and documented are one', async () => {
    await create(
      'LIVE_TYPES',
      `ID NUMBER(9) PRIMARY KEY, ${lines.map(({ type }, i) => `C${i} ${type}`).join(', ')}`,
    );
    const run_ = await live(['LIVE_TYPES'], { lobs: true });
    const { harness } = run_;
    const names = lines.map((_, i) => `C${i}`);
    await run(
      `INSERT INTO LIVE_TYPES (ID, ${names.join(', ')}) VALUES (1, ${lines.map(({ redo }) => redo!).join(', ')})`,
      'COMMIT',
    );
    await run('UPDATE LIVE_TYPES SET ID = 2', 'COMMIT', 'DELETE FROM LIVE_TYPES', 'COMMIT');
    await run_.catchUp();
    await keep(run_, 'L-types', 'every type', ['LIVE_TYPES']);
    const created = harness.events.find(({ op }) => op === 'c')?.after;
    const expected = lines.map(({ type, row }) => {
      const model = modelOf({ V: type });
      const bytes = model.schema.columns[0]!.type.kind === 'bytes';
      return textOf(model.decoders[0]!.fromRow(bytes ? Buffer.from(row!, 'hex') : row!));
    });
    expect(names.map((name) => created?.[name])).toEqual(expected);
    await harness.close();
  }, 300_000);
});

test('savepoints, failed statements, rollbacks: what undo looks like', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(4000), QTY NUMBER(9)');
  const run_ = await live(['LIVE_ORD']);
  await run(
    "INSERT INTO LIVE_ORD VALUES (1, 'it''s', 1)",
    'SAVEPOINT A',
    'UPDATE LIVE_ORD SET QTY = 2',
    'UPDATE LIVE_ORD SET QTY = 3',
    'ROLLBACK TO A',
  );
  await sql.execute("INSERT INTO LIVE_ORD VALUES (1, 'twice', 1)").catch(() => undefined);
  await run(
    'UPDATE LIVE_ORD SET QTY = 4',
    'COMMIT',
    "INSERT INTO LIVE_ORD VALUES (2, 'gone', 1)",
    'ROLLBACK',
  );
  await run_.catchUp();
  await keep(run_, 'L-undo', 'savepoints, failed statements, rollbacks', ['LIVE_ORD']);
  expect(run_.harness.events.map(({ op, after }) => [op, after?.['ID'], after?.['QTY']])).toEqual([
    ['c', '1', '1'],
    ['u', '1', '4'],
  ]);
  expect(run_.harness.warnings).toEqual([]);
  await run_.harness.close();
}, 300_000);

test('texts of 4,000 bytes, of several bytes each, in continued rows', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(4000), QTY NUMBER(9)');
  const run_ = await live(['LIVE_ORD']);
  await run(
    `INSERT INTO LIVE_ORD SELECT 1, RPAD('''', 4000, '''x'), 1 FROM DUAL`,
    `INSERT INTO LIVE_ORD SELECT 2, RPAD('é', 2000, 'é'), 1 FROM DUAL`,
    'COMMIT',
  );
  await run_.catchUp();
  await keep(run_, 'L-csf', 'continued rows', ['LIVE_ORD']);
  expect(run_.harness.events.map(({ after }) => after?.['NAME'])).toEqual([
    "'x".repeat(2000),
    'é'.repeat(2000),
  ]);
  await run_.harness.close();
}, 300_000);

test('LOBs: inline, out of line, appended, trimmed', async () => {
  await create('LIVE_DOC', 'ID NUMBER(9) PRIMARY KEY, BODY CLOB, BIN BLOB');
  const run_ = await live(['LIVE_DOC'], { lobs: true });
  await run("INSERT INTO LIVE_DOC VALUES (1, 'short', HEXTORAW('CAFE'))", 'COMMIT');
  await run(
    `DECLARE c CLOB; BEGIN INSERT INTO LIVE_DOC VALUES (2, EMPTY_CLOB(), NULL) RETURNING BODY INTO c; FOR i IN 1..20 LOOP DBMS_LOB.WRITEAPPEND(c, 1000, RPAD('x', 1000, 'x')); END LOOP; END;`,
    'COMMIT',
    `DECLARE c CLOB; BEGIN SELECT BODY INTO c FROM LIVE_DOC WHERE ID = 2 FOR UPDATE; DBMS_LOB.TRIM(c, 10); END;`,
    'COMMIT',
  );
  await run_.catchUp();
  await keep(run_, 'L-lobs', 'LOBs', ['LIVE_DOC']);
  const lengths = run_.harness.events.map(({ op, after }) => [op, after?.['ID'], after?.['BODY']?.length]);
  expect(lengths.slice(0, 2)).toEqual([
    ['c', '1', 5],
    ['c', '2', 20_000],
  ]);
  await run_.harness.close();
}, 300_000);

test('DDL between changes', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(4000), QTY NUMBER(9)');
  const run_ = await live(['LIVE_ORD']);
  await run(
    "INSERT INTO LIVE_ORD VALUES (1, 'a', 1)",
    'COMMIT',
    'ALTER TABLE LIVE_ORD ADD (NOTE VARCHAR2(10))',
    "INSERT INTO LIVE_ORD VALUES (2, 'b', 2, 'n')",
    'COMMIT',
    'ALTER TABLE LIVE_ORD DROP COLUMN NAME',
    'INSERT INTO LIVE_ORD VALUES (3, 3, NULL)',
    'COMMIT',
    'TRUNCATE TABLE LIVE_ORD',
  );
  await run_.catchUp();
  await keep(run_, 'L-ddl', 'DDL between changes', ['LIVE_ORD']);
  expect(
    run_.harness.events.map(({ op, after }) => [op, op === 'ddl' ? null : (after?.['ID'] ?? null)]),
  ).toEqual([
    ['c', '1'],
    ['ddl', null],
    ['c', '2'],
    ['ddl', null],
    ['c', '3'],
    ['t', null],
  ]);
  await run_.harness.close();
}, 300_000);

test('log switches under load, with restarts: the changes rebuild the table', async () => {
  await create('LIVE_ORD', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(4000), QTY NUMBER(9)');
  const run_ = await live(['LIVE_ORD'], { limits: { batchChanges: 50 } });
  for (let round = 0; round < 10; round++) {
    await run(
      `BEGIN FOR i IN 1..200 LOOP INSERT INTO LIVE_ORD VALUES (${round} * 1000 + i, 'n' || i, i); IF MOD(i, 7) = 0 THEN COMMIT; END IF; IF MOD(i, 11) = 0 THEN ROLLBACK; END IF; END LOOP; UPDATE LIVE_ORD SET QTY = QTY + 1 WHERE MOD(ID, 3) = 0; DELETE FROM LIVE_ORD WHERE MOD(ID, 5) = 0; COMMIT; END;`,
    );
    await sql.execute('ALTER SYSTEM SWITCH LOGFILE').catch(() => undefined); // in the root alone
    await run_.catchUp();
    await run_.harness.restart(Math.max(0, run_.harness.events.length - 25));
  }
  await run_.harness.open();
  await run_.catchUp();
  const rebuilt = new Map<string, string | null>();
  for (const { op, before, after } of run_.harness.events) {
    if (op === 'd') rebuilt.delete(before!['ID']!);
    else rebuilt.set(after!['ID']!, after!['QTY']!);
  }
  const rows = await sql.query('SELECT TO_CHAR(ID), TO_CHAR(QTY) FROM LIVE_ORD');
  expect(Object.fromEntries(rebuilt)).toEqual(
    Object.fromEntries(rows.map(([id, qty]) => [String(id), String(qty)])),
  );
  await run_.harness.close();
}, 600_000);

test('a snapshot by ranges of ROWIDs under load', async () => {
  await create('LIVE_BIG', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(200)');
  await run(
    `INSERT INTO LIVE_BIG SELECT LEVEL, RPAD('x', 100, 'x') FROM DUAL CONNECT BY LEVEL <= 50000`,
    'COMMIT',
  );
  const run_ = await live(['LIVE_BIG'], { limits: { chunkBlocks: 64 } });
  await run(
    "INSERT INTO LIVE_BIG SELECT 100000 + LEVEL, 'late' FROM DUAL CONNECT BY LEVEL <= 1000",
    'COMMIT',
  );
  const snapshot = createSnapshot<OraclePosition, OracleSource>({
    source: run_.harness.reader!.snapshotSource(),
    codec: ORACLE_POSITIONS,
    tables: [
      { id: { schema: SCHEMA, table: 'LIVE_BIG' }, key: ['ID'], estimatedRows: null, limitation: null },
    ],
    restored: new Map(),
    mode: 'initial',
    parallelism: 4,
    chunkRows: 5_000,
    where: new Map(),
    walLimitBytes: null,
    retainedBytes: () => Promise.resolve(null),
    freshStart: true,
    onTableError: (_, error) => expect(error).toBeNull(),
    log: SILENT,
  });
  for await (const batch of snapshot.readView(never)) run_.harness.take(batch);
  const ids = run_.harness.events.map(({ after }) => Number(after?.['ID']));
  expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50_000 }, (_, i) => i + 1));
  await run_.harness.close();
}, 600_000);

test('rows that move while a snapshot is read', async () => {
  await create('LIVE_MOVE', 'ID NUMBER(9) PRIMARY KEY, NAME VARCHAR2(200)');
  await run(
    'ALTER TABLE LIVE_MOVE ENABLE ROW MOVEMENT',
    `INSERT INTO LIVE_MOVE SELECT LEVEL, RPAD('x', 100, 'x') FROM DUAL CONNECT BY LEVEL <= 20000`,
    'COMMIT',
  );
  const run_ = await live(['LIVE_MOVE'], { limits: { chunkBlocks: 64 } });
  const source = run_.harness.reader!.snapshotSource();
  const id = { schema: SCHEMA, table: 'LIVE_MOVE' };
  const options = { chunkRows: 5_000, where: null };
  const all = Array.from({ length: 20_000 }, (_, i) => i + 1);
  const idsOf = (rows: readonly { readonly after: Image | null }[]): number[] =>
    rows.map(({ after }) => Number(valuesOf(after)![0]));

  // SHRINK SPACE behind the view's SCN: rows are seen where they were.
  const view = (await source.openView({ parallelism: 1 }, never))!;
  const viewed = await view.plan(id, options, never);
  expect(viewed.chunks.length).toBeGreaterThan(2);
  const seen: number[] = [];
  for (const [i, range] of viewed.chunks.entries()) {
    for await (const { rows } of view.rows(viewed, range, never)) seen.push(...idsOf(rows));
    if (i === 0)
      await run('DELETE FROM LIVE_MOVE WHERE MOD(ID, 2) = 0', 'COMMIT', 'ALTER TABLE LIVE_MOVE SHRINK SPACE');
  }
  expect(seen.toSorted((a, b) => a - b)).toEqual(all);
  await view[Symbol.asyncDispose]();

  // MOVE between two windows: it is found, and rows lie behind all others.
  await using windows = await source.openWindows({ parallelism: 1 }, never);
  const plan = await windows.plan(id, options, never);
  const limit = { maxRows: 50_000, maxBytes: 100_000_000 };
  expect(plan.chunks.length).toBeGreaterThan(1);
  await run('ALTER TABLE LIVE_MOVE MOVE');
  await expect(windows.chunk(plan, plan.chunks[0]!, limit, never)).rejects.toMatchObject({
    code: 'snapshot.table-rewritten',
  });
  const last = await windows.chunk(plan, plan.chunks.at(-1)!, limit, never);
  expect(idsOf(last.rows).toSorted((a, b) => a - b)).toEqual(all.filter((n) => n % 2 === 1));
  await run_.harness.close();
}, 600_000);

test('polling: each kind of time, a transaction that stays open over polls, a view and a query', async () => {
  await create(
    'LIVE_POLL',
    'ID NUMBER(9) PRIMARY KEY, V NUMBER(9), D DATE, T TIMESTAMP(6), TZ TIMESTAMP(6) WITH TIME ZONE, TL TIMESTAMP(6) WITH LOCAL TIME ZONE',
  );
  await run('CREATE OR REPLACE VIEW LIVE_POLL_VIEW AS SELECT ID, V FROM LIVE_POLL');
  // The session's zone is UTC; SYSDATE would be the server's.
  const now =
    'CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE), SYS_EXTRACT_UTC(SYSTIMESTAMP), SYSTIMESTAMP, SYSTIMESTAMP';
  await run(`INSERT INTO LIVE_POLL SELECT LEVEL, 0, ${now} FROM DUAL CONNECT BY LEVEL <= 20`, 'COMMIT');
  const query = `SELECT ID, V FROM ${SCHEMA}.LIVE_POLL WHERE V >= 0`;
  for (const timestamp of ['D', 'T', 'TZ', 'TL']) {
    const harness = new PollHarness(
      { connect: reader.connect, pdb: reader.pdb, problems: () => [] },
      {
        patterns: [`${SCHEMA}.LIVE_POLL`, `${SCHEMA}.LIVE_POLL_VIEW`, 'R.QUERIED'],
        timeZone: 'UTC',
        tables: {
          [`${SCHEMA}.LIVE_POLL`]: { mode: 'timestamp', timestamp: [timestamp] },
          [`${SCHEMA}.LIVE_POLL_VIEW`]: { key: ['ID'] },
          'R.QUERIED': { key: ['ID'], query },
        },
      },
    );
    for (const { level, check, message, fix } of await harness.preflight())
      process.stderr.write(`${level} ${check}: ${message} ${fix ?? ''}\n`);
    await harness.run();
    const late = await application.connect('utility', never);
    await late.execute(
      `UPDATE ${SCHEMA}.LIVE_POLL SET V = V + 1, (D, T, TZ, TL) = (SELECT ${now} FROM DUAL) WHERE ID = 1`,
    );
    await run(
      `UPDATE LIVE_POLL SET V = V + 1, (D, T, TZ, TL) = (SELECT ${now} FROM DUAL) WHERE ID = 2`,
      'COMMIT',
    );
    await harness.run();
    await harness.run();
    await late.execute('COMMIT');
    await late[Symbol.asyncDispose]();
    await harness.run();
    const held = (await sql.query('SELECT TO_CHAR(ID), TO_CHAR(V) FROM LIVE_POLL ORDER BY TO_CHAR(ID)')).map(
      ([id, v]) => `${String(id)} ${String(v)}`,
    );
    for (const table of [`${SCHEMA}.LIVE_POLL`, `${SCHEMA}.LIVE_POLL_VIEW`, 'R.QUERIED']) {
      const rows = harness.replayed(table, ['ID']).map((text) => {
        const row = JSON.parse(text) as { readonly ID: string; readonly V: string };
        return `${row.ID} ${row.V}`;
      });
      expect(rows.sort(), `${table} by ${timestamp}`).toEqual(held.toSorted());
    }
    expect(harness.close()).toEqual([]);
  }
}, 600_000);
