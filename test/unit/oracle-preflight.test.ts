/** What doctor finds of a database, and says to do. */
import { afterEach, describe, expect, test } from 'vitest';
import { SILENT } from '../../src/observability/log.ts';
import { positionAt } from '../../src/readers/oracle/position.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const ORD = { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] };
const TABLES = { 'Q.ORD': ORD, 'Q.ITEM': ORD };
const A = xid(1);
const never = new AbortController().signal;

let harness: Harness | null = null;

afterEach(async () => {
  if (harness !== null) expect(await harness.close()).toEqual([]);
  harness = null;
});

describe('preflight', () => {
  const findings = async (
    server: FakeOracle,
    tweaks: ConstructorParameters<typeof Harness>[1] = {},
  ): Promise<string[]> => {
    const h = (harness = new Harness(server, tweaks));
    const { createOracleReader } = await import('../../src/readers/oracle/reader.ts');
    await using reader = createOracleReader(h.options, {
      connect: server.connect,
      unknownErrors: h.unknownErrors,
      firstConnection: h.firstConnection,
      log: SILENT,
    });
    return (await reader.preflight(never))
      .filter(({ level }) => level !== 'ok')
      .map(({ level, code, message, fix }) => `${level} ${code ?? ''} ${message} ${fix ?? ''}`);
  };

  test.each<[string, (server: FakeOracle) => void, ConstructorParameters<typeof Harness>[1], RegExp]>([
    [
      'a PDB of a database without any',
      () => undefined,
      { pdb: 'SHOP' },
      /is not a multitenant database\. Remove/,
    ],
    [
      'another PDB',
      (s) => (s.pdb = 'SHOP'),
      { pdb: 'SHOPP' },
      /^error source\.container There is no PDB SHOPP\./,
    ],
    [
      'a PDB that is closed',
      (s) => ((s.pdb = 'SHOP'), (s.pdbMode = 'MOUNTED')),
      { pdb: 'SHOP' },
      /The PDB SHOP is MOUNTED\. ALTER PLUGGABLE DATABASE "SHOP" OPEN;/,
    ],
    ['no PDB', (s) => (s.pdb = 'SHOP'), {}, /^warning .*only tables of CDB\$ROOT itself are captured/],
    [
      'a destination that is none',
      () => undefined,
      { archiveDestinations: ['LOG_ARCHIVE_DEST_9'] },
      /^error settings\.invalid .*LOG_ARCHIVE_DEST_9, which is not local and valid\. Local and valid are: LOG_ARCHIVE_DEST_1\./,
    ],
    [
      'a flush table on a standby',
      (s) => ((s.role = 'PHYSICAL STANDBY'), (s.openMode = 'READ ONLY WITH APPLY')),
      { archiveOnly: null, flushTable: 'HEADWATER_FLUSH' },
      /^warning .*cannot be written to here; it is left alone\. Remove source\.oracle\.flush_table\./,
    ],
    [
      'grants in a PDB are for all containers',
      (s) => ((s.pdb = 'SHOP'), s.unreadable.add('V$LOG')),
      { pdb: 'SHOP' },
      /GRANT SELECT ON SYS\.V_\$LOG TO "C##CDC" CONTAINER=ALL;/,
    ],
    [
      'the dictionary’s, too',
      (s) => ((s.pdb = 'SHOP'), (s.mayBuild = false)),
      { pdb: 'SHOP', strategy: 'redo_log_catalog' },
      /GRANT EXECUTE ON SYS\.DBMS_LOGMNR_D TO "C##CDC" CONTAINER=ALL;/,
    ],
    [
      'several destinations that are none, where there is none at all',
      (s) => (s.destinations = []),
      { archiveDestinations: ['A', 'B'] },
      /names A, B, which are not local and valid\. Local and valid are: none\./,
    ],
    [
      'a URL that names the PDB itself',
      (s) => ((s.pdb = 'SHOP'), (s.sessionContainer = 'SHOP')),
      {},
      /source\.oracle\.pdb the PDB SHOP\./,
    ],
    [
      'SET CONTAINER',
      (s) => ((s.pdb = 'SHOP'), s.privileges.delete('SET CONTAINER')),
      { pdb: 'SHOP' },
      /GRANT SET CONTAINER TO "C##CDC" CONTAINER=ALL;/,
    ],
  ])('with settings: %s', async (_, change, tweaks, found) => {
    const server = serverWith(TABLES);
    change(server);
    expect(await findings(server, tweaks)).toContainEqual(expect.stringMatching(found));
  });

  test('a table that was altered just now is no reason to refuse it', async () => {
    const server = serverWith(TABLES);
    server.tables[0]!.lastDdl = 3000n;
    expect(await findings(server)).toEqual([]);
  });

  test('a prepared database', async () => {
    expect(await findings(serverWith(TABLES))).toEqual([]);
  });

  test.each<[string, (server: FakeOracle) => void, RegExp]>([
    [
      'no archiving',
      (s) => (s.logMode = 'NOARCHIVELOG'),
      /^error source\.archive-mode ORCLCDB is not in ARCHIVELOG/,
    ],
    [
      'no supplemental logging',
      (s) => (s.minimalLogging = 'NO'),
      /source\.supplemental-logging .* ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;/,
    ],
    [
      'no LOGMINING',
      (s) => s.privileges.delete('LOGMINING'),
      /source\.privilege-missing .*GRANT LOGMINING TO "C##CDC";/,
    ],
    [
      'V$LOG',
      (s) => s.unreadable.add('V$LOG'),
      /cannot read V\$LOG\. GRANT SELECT ON SYS\.V_\$LOG TO "C##CDC";/,
    ],
    ['V$DATABASE', (s) => s.unreadable.add('V$DATABASE'), /GRANT SELECT ON SYS\.V_\$DATABASE TO "C##CDC";/],
    ['no FLASHBACK', (s) => (s.mayFlashback = false), /GRANT SELECT, FLASHBACK ON "Q"\."ORD" TO "C##CDC";/],
    ['DBMS_LOGMNR', (s) => (s.mayMine = false), /GRANT EXECUTE ON SYS\.DBMS_LOGMNR TO "C##CDC";/],
    [
      'a standby',
      (s) => ((s.role = 'PHYSICAL STANDBY'), (s.openMode = 'READ ONLY WITH APPLY')),
      /source\.read-only .*Remove source\.oracle\.archive_only: false/,
    ],
    [
      'no ALL COLUMNS',
      (s) => (s.tables[0]!.allColumns = false),
      /^warning .*ALTER TABLE "Q"\."ORD" ADD SUPPLEMENTAL LOG DATA \(ALL\) COLUMNS;/,
    ],
    [
      'no key logging',
      (s) => (s.tables[0]!.allColumns = false),
      /^warning .*, and not the key, without which it cannot be read\./,
    ],
    [
      'primary keys are logged',
      (s) => ((s.tables[0]!.allColumns = false), (s.keyLogging = 'YES')),
      /^warning .* only the changed columns are known and the key\./,
    ],
    [
      'a character set nobody decodes',
      (s) => (s.characterSet = 'WE8EBCDIC1047'),
      /^warning .*bytes of WE8EBCDIC1047/,
    ],
    [
      'a cluster whose transactions are hidden',
      (s) => (
        s.threads.push({ ...s.threads[0]!, thread: 2 }),
        s.startLog(2, 1, 1000n),
        s.unreadable.add('GV$TRANSACTION')
      ),
      /GRANT SELECT ON SYS\.GV_\$TRANSACTION TO "C##CDC";/,
    ],
    [
      'no ALL COLUMNS and no key',
      (s) => ((s.tables[0]!.allColumns = false), (s.tables[0]!.key = [])),
      /^error source\.supplemental-logging Q\.ORD has neither a key/,
    ],
    [
      'an index-organized table',
      (s) => (s.tables[0]!.indexOrganized = true),
      /^warning .*Q\.ORD is left out: it is index-organized/,
    ],
    ['a temporary table', (s) => (s.tables[0]!.temporary = true), /left out: it is temporary/],
    [
      'several destinations',
      (s) => (s.destinations = ['LOG_ARCHIVE_DEST_1', 'LOG_ARCHIVE_DEST_2']),
      /archive_destinations which to read, such as \[LOG_ARCHIVE_DEST_1\]/,
    ],
    [
      'no destination',
      (s) => (s.destinations = []),
      /^error source\.archive-mode .*to no local destination\. Set log_archive_dest_1/,
    ],
    [
      'a cloud service',
      (s) => (s.cloud = 'OLTP'),
      /^warning .*This is the cloud service OLTP: LogMiner’s ADD_LOGFILE may not be available\./,
    ],
    ['small online logs', (s) => (s.logs[0]!.bytes = 1024 ** 2), /^warning .*Larger online logs/],
    ['UTF8 as national character set', (s) => (s.nationalCharacterSet = 'UTF8'), /^warning .*AL16UTF16 only/],
    [
      'a column of a type that is left out',
      (s) => (s.tables[0]!.columns = [...s.tables[0]!.columns, fakeColumn('G', 'SDO_GEOMETRY')]),
      /^warning .*left out: G \(SDO_GEOMETRY\)/,
    ],
    [
      'a long name',
      (s) => (s.tables[0]!.columns = [...s.tables[0]!.columns, fakeColumn('X'.repeat(31), 'DATE')]),
      /^warning .*longer than 30/,
    ],
    [
      'a login that is refused',
      (s) => s.faults.push({ on: 'CONNECT', message: 'ORA-01017: invalid credential', times: 1 }),
      /^error source\.auth-failed/,
    ],
    ['V$THREAD', (s) => s.unreadable.add('V$THREAD'), /GRANT SELECT ON SYS\.V_\$THREAD TO "C##CDC";/],
    [
      'a connection that is lost in the middle',
      (s) => s.faults.push({ on: 'SQL', within: 'V$LOGFILE', message: 'ORA-03113: end', times: 1 }),
      /^error source\.connection-lost/,
    ],
    [
      'a connection that is lost at LogMiner',
      (s) => s.faults.push({ on: 'SQL', within: 'END_LOGMNR', message: 'ORA-03113: end', times: 1 }),
      /^error source\.connection-lost/,
    ],
    [
      'a connection that is lost at a table',
      (s) => s.faults.push({ on: 'SQL', within: 'AS OF SCN', message: 'ORA-03113: end', times: 1 }),
      /^error source\.connection-lost/,
    ],
    [
      'a listener that does not know the service',
      (s) => s.faults.push({ on: 'CONNECT', message: 'NJS-518: cannot connect ORA-12514', times: 1 }),
      /^error source\.unreachable .*service/,
    ],
  ])('%s', async (_, change, expected) => {
    const server = serverWith(TABLES);
    change(server);
    const found = await findings(server);
    expect(found.length).toBeGreaterThan(0);
    expect(found.join('\n')).toMatch(new RegExp(expected.source, 'm'));
  });

  test.each<[string, string, string, RegExp]>([
    ['the wrong container', 'PDB1', 'READ WRITE', /source\.container The session is in the container PDB1/],
    [
      'a PDB that is closed',
      'CDB$ROOT',
      'MOUNTED',
      /source\.container The PDB PDB1 is MOUNTED\. ALTER PLUGGABLE DATABASE "PDB1" OPEN;/,
    ],
  ])('%s', async (_, container, mode, expected) => {
    const server = serverWith(TABLES);
    server.pdb = 'PDB1';
    server.sessionContainer = container;
    server.pdbMode = mode;
    expect((await findings(server, { pdb: 'PDB1' })).join('\n')).toMatch(expected);
  });

  test('a PDB, prepared: LogMiner in the root, tables in the PDB, rows of the others left out', async () => {
    const server = serverWith(TABLES);
    server.pdb = 'PDB1';
    expect(await findings(server, { pdb: 'PDB1' })).toEqual([]);
    await harness!.close();
    server.redo = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1' }, { extra: { container: 'PDB1' } })
      .insert(A, 'Q.ORD', { ID: '2' }, { extra: { container: 'PDB2' } })
      .commit(A).rows;
    const h = (harness = new Harness(server, { pdb: 'PDB1' }));
    await h.poll(2020n);
    expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['1']);
  });

  test('a table that was dropped stops no pipeline that has begun, and a new one', async () => {
    const server = serverWith(TABLES);
    const h = (harness = new Harness(server, { tables: ['Q.ORD', 'Q.NONE'] }, null));
    await expect(h.open()).rejects.toMatchObject({ code: 'settings.no-table-matches' });
    await h.reader?.[Symbol.asyncDispose]();
    h.position = positionAt(2000n);
    await h.open();
    expect(h.unmatched).toEqual(['source.tables: Q.NONE matches no table in the scripted server.']);
    expect(h.opened?.continuity.kind).toBe('continuous');
  });

  test('a pattern that matches nothing', async () => {
    expect((await findings(serverWith(TABLES), { tables: ['Q.NONE'] })).join('')).toMatch(
      /settings\.no-table-matches/,
    );
  });

  test('require_all_columns makes the warning an error', async () => {
    const server = serverWith(TABLES);
    server.tables[0]!.allColumns = false;
    expect((await findings(server, { requireAllColumns: true })).join('')).toMatch(
      /^error source\.supplemental-logging/,
    );
  });

  test('a table created later is found', async () => {
    const server = serverWith(TABLES);
    const h = (harness = new Harness(server));
    const reader = await h.open();
    await reader.checkTables!(never);
    server.tables.push({ ...server.tables[0]!, name: 'NEW' });
    await expect(reader.checkTables!(never)).rejects.toMatchObject({ code: 'source.tables-changed' });
  });
});
