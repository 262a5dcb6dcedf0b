/** The strategy redo_log_catalog: LogMiner takes names from a dictionary in the redo log. */
import { afterEach, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = { 'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] } };
const [A, B] = [xid(1), xid(2)];
const STRATEGY = { strategy: 'redo_log_catalog' } as const;

let harness: Harness;

/** Opens a reader that has no position yet, and reads on. */
async function begun(server: FakeOracle, scn: bigint): Promise<Harness> {
  const h = fresh(server);
  await h.open();
  await h.poll(scn);
  return h;
}

function fresh(server: FakeOracle, tweaks: ConstructorParameters<typeof Harness>[1] = {}): Harness {
  harness = new Harness(server, { ...STRATEGY, ...tweaks }, null);
  return harness;
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

const ids = (h: Harness): (string | null | undefined)[] => h.events.map(({ after }) => after?.['ID']);

test('is written before the position is taken, and used by each session', async () => {
  const server = serverWith(TABLES);
  server.redo = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).rows;
  const h = await begun(server, 2030n);
  expect(ids(h)).toEqual(['1']);
  expect(server.dictionaries).toBe(1);
  const built = server.statements.findIndex((sql) => sql.includes('DBMS_LOGMNR_D.BUILD'));
  const taken = server.statements.findIndex((sql) => sql.includes('LEFT OUTER JOIN V$TRANSACTION'));
  expect(built).toBeGreaterThan(-1);
  expect(built).toBeLessThan(taken);
  const added = server.statements.filter((sql) => sql.includes('ADD_LOGFILE'));
  expect(added.map((sql) => /'([^']+)'/.exec(sql)![1])).toEqual([
    '/arch/LOG_ARCHIVE_DEST_1/1_10.arc',
    '/redo/1_11.log',
  ]);
  expect(server.statements.filter((sql) => sql.includes('START_LOGMNR'))).toContainEqual(
    expect.stringContaining('DICT_FROM_REDO_LOGS + DBMS_LOGMNR.DDL_DICT_TRACKING'),
  );
});

test('one that is there already is used; another is written after a switch, and its own switch is none', async () => {
  const server = serverWith(TABLES);
  server.logs[0]!.dictionary = true;
  server.switchLog(1, 1990n);
  server.logs[1]!.dictionary = false;
  const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A);
  script.insert(B, 'Q.ORD', { ID: '2' }, { at: 2040 }).commit(B);
  server.redo = script.rows;
  const h = await begun(server, 2030n);
  expect(server.dictionaries).toBe(0);
  server.switchLog(1, 2031n);
  await h.poll(2045n);
  await h.poll(2060n);
  expect(server.dictionaries).toBe(1);
  expect(ids(h)).toEqual(['1', '2']);
});

test('the archiver is late with it: waited for; does not come: a failure that another attempt may mend', async () => {
  const server = serverWith(TABLES);
  server.dictionaryDelay = 3;
  await fresh(server).poll(2030n);
  expect(await harness.close()).toEqual([]);
  const other = serverWith(TABLES);
  other.dictionaryDelay = 1_000;
  await expect(fresh(other).poll(2030n)).rejects.toMatchObject({
    code: 'source.log-missing',
    fix: expect.stringContaining('ARCHIVE LOG CURRENT') as string,
  });
});

test('a restart goes on with the dictionary of before; without it that is a gap', async () => {
  const server = serverWith(TABLES);
  server.redo = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).rows;
  const h = await begun(server, 2030n);
  await h.restart();
  await h.open();
  expect(h.opened!.continuity).toEqual({ kind: 'continuous' });
  await h.stop();
  server.logs.find(({ dictionary }) => dictionary === true)!.state = 'deleted';
  await h.open();
  expect(h.opened!.continuity).toMatchObject({
    kind: 'gap',
    reason: expect.stringContaining('dictionary') as string,
  });
});

test('it is deleted while the log is read: said so', async () => {
  const server = serverWith(TABLES);
  const h = fresh(server);
  await h.poll(2030n);
  server.logs.find(({ dictionary }) => dictionary === true)!.state = 'deleted';
  const error = await h.poll(2040n).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HeadwaterError);
  expect(error).toMatchObject({
    code: 'source.position-lost',
    message: expect.stringContaining('dictionary') as string,
  });
});

test('a row that it does not name is a failure, not rebuilt', async () => {
  const server = serverWith(TABLES);
  const sql = `insert into "UNKNOWN"."OBJ# 73000"("COL 1") values (HEXTORAW('c102'));`;
  const extra = { STATUS: 2, INFO: 'Dictionary Mismatch', 'DATA_OBJ#': '73000' };
  server.redo = new RedoScript().other(A, 1, 'UNKNOWN.OBJ# 73000', sql, { extra }).commit(A).rows;
  await expect(begun(server, 2030n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
});

test('doctor asks for the privilege, and refuses what is read-only', async () => {
  const server = serverWith(TABLES);
  const h = fresh(server);
  await h.open();
  const told = async (): Promise<string> =>
    JSON.stringify(await h.reader!.preflight(new AbortController().signal));
  expect(await told()).toContain('hundreds of megabytes');
  server.mayBuild = false;
  expect(await told()).toContain('GRANT EXECUTE ON SYS.DBMS_LOGMNR_D');
  server.openMode = 'READ ONLY';
  expect(await told()).toContain('no dictionary can be written');
});
