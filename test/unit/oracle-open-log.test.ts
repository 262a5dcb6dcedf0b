/** How the log relates to what is stored, and how far archived logs of several threads reach. */
import { afterEach, describe, expect, test } from 'vitest';
import { LogCollector } from '../../src/readers/oracle/logs/collect-logs.ts';
import { SESSION_SETTINGS } from '../../src/readers/oracle/session/session-settings.ts';
import { DEFAULT_LIMITS } from '../../src/readers/oracle/settings.ts';
import { TableHistory } from '../../src/readers/oracle/table-history.ts';
import { textDecoder } from '../../src/readers/oracle/types/character-sets.ts';
import { positionAt } from '../../src/readers/oracle/position.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';
import { columnsOf } from '../support/oracle/table-models.ts';

const TABLES = { 'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] } };
const never = new AbortController().signal;
let harness: Harness;

function run(
  server: FakeOracle,
  tweaks: ConstructorParameters<typeof Harness>[1] = {},
  fresh = false,
): Harness {
  return (harness = new Harness(server, tweaks, fresh ? null : undefined));
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

function two(): FakeOracle {
  const server = serverWith(TABLES);
  server.threads.push({ ...server.threads[0]!, thread: 2 });
  server.startLog(2, 1, 1000n);
  return server;
}

describe('a gap', () => {
  const gone = (): FakeOracle => {
    const server = serverWith(TABLES);
    server.switchLog(1, 2500n);
    server.logs[0]!.state = 'deleted';
    server.currentScn = 2600n;
    return server;
  };

  test('stops where the settings say so, with advice', async () => {
    await expect(run(gone(), { onGap: 'fail' }).open()).rejects.toMatchObject({
      code: 'source.position-lost',
      message: expect.stringContaining(
        'the redo of SCN 2000 is gone; the oldest that is kept is 2500',
      ) as string,
      fix: expect.stringContaining('source.on_gap: resnapshot') as string,
    });
  });

  test('is answered else, and a log that has nothing is one', async () => {
    await run(gone()).open();
    expect(harness.opened!.continuity).toMatchObject({ kind: 'gap', start: { read: 2600n } });
    await harness.close();
    const empty = gone();
    for (const log of empty.logs) log.state = 'deleted';
    await run(empty).open();
    expect(harness.opened!.continuity).toMatchObject({
      kind: 'gap',
      reason: expect.stringContaining('none') as string,
      start: { read: 2600n },
    });
  });

  test('can be asked for without opening anything', async () => {
    const h = run(gone());
    const reader = await h.open();
    const examine = (position: bigint | null, lost: string | null): Promise<string | null> =>
      reader.examine(
        {
          stored: position === null ? null : { position: positionAt(position), identity: null },
          intent: null,
          lost,
        },
        never,
      );
    expect(await examine(null, null)).toBeNull();
    expect(await examine(2550n, null)).toBeNull();
    expect(await examine(2550n, 'somebody said so')).toBe('somebody said so');
    expect(await examine(2000n, null)).toContain('SCN 2000 is gone');
  });
});

test('a cluster’s open transactions are those of all instances', async () => {
  const server = two();
  server.openTransactions = [1900n];
  await run(server, {}, true).open();
  expect(harness.position).toMatchObject({ scn: 1899n, read: 2000n });
  expect(server.statements.some((sql) => sql.includes('GV$TRANSACTION'))).toBe(true);
});

test('archived logs of several threads: as far as the one that reaches least, by its latest', async () => {
  const server = two();
  server.redo = new RedoScript().insert(xid(1), 'Q.ORD', { ID: '1' }).commit(xid(1)).rows;
  server.currentScn = 2100n;
  const h = run(server, { archiveOnly: true });
  const reader = await h.open();
  const head = async (): Promise<bigint> => (await reader.head(never)).position.read;
  server.switchLog(1, 2005n);
  server.switchLog(1, 2050n);
  // The other thread has archived nothing.
  expect(await head()).toBe(2100n);
  server.switchLog(2, 2020n);
  expect(await head()).toBe(2019n);
  server.switchLog(2, 2080n);
  expect(await head()).toBe(2049n);
  await h.poll(2049n);
  expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['1']);
});

test('tables are told with what the log will not have of them', async () => {
  const server = serverWith(TABLES);
  server.tables[0]!.allColumns = false;
  const reader = await run(server).open();
  const [table] = await reader.tables(new AbortController().signal);
  expect(table!.limitation).toMatch(
    /^Q\.ORD has no ALL COLUMNS .* ADD SUPPLEMENTAL LOG DATA \(ALL\) COLUMNS;$/,
  );
});

test('a position without any other state is gone on from', async () => {
  const h = run(serverWith(TABLES));
  const reader = await h.open();
  const stored = { position: h.position!, identity: h.identity };
  const opened = await reader.open(
    { stored, intent: null, recordIntent: () => Promise.resolve() },
    new AbortController().signal,
  );
  expect(opened.continuity.kind).toBe('continuous');
  await h.poll(2010n);
});

test('a log that is not there yet is waited for longer and longer, and not for ever', async () => {
  const server = serverWith(TABLES);
  server.switchLog(1, 2012n, { archive: false });
  server.currentScn = 2030n;
  const h = run(server);
  const session = await server.connect('utility', never);
  for (const statement of SESSION_SETTINGS) await session.execute(statement);
  const waits: number[] = [];
  const collector = new LogCollector(session, { ...h.options, limits: DEFAULT_LIMITS }, async (ms) => {
    await Promise.resolve(waits.push(ms));
  });
  await expect(collector.collect(2000n, 0)).rejects.toMatchObject({ code: 'source.log-missing' });
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000]);
  await session[Symbol.asyncDispose]();
});

describe('the history of tables', () => {
  const context = { text: textDecoder('AL32UTF8'), onForeignDate: () => undefined };
  const described = (objectId: string | null, types: Readonly<Record<string, string>>): never =>
    ({ objectId, dataObjectIds: [], columns: columnsOf(types), key: [], approximate: false }) as never;
  const ID = { schema: 'Q', table: 'T' };

  test('what another version has written is no history', () => {
    harness = new Harness(serverWith(TABLES));
    for (const text of ['{"v":2,"versions":[]}', '{"v":1}', '{"v":1,"versions":[]}']) {
      const history = new TableHistory(context, new Map([['schema/Q.T', text]]));
      const ref = history.adopt(ID, described('5', { A: 'NUMBER' }));
      expect(history.current(ref).version.version).toBe(1);
      expect(history.findObject('5', null)).toBe(ref);
      expect(history.findObject(null, null)).toBeNull();
    }
  });

  test('the same shape twice is one; another segment leaves the schema; a row of before has the shape of before', () => {
    harness = new Harness(serverWith(TABLES));
    const history = new TableHistory(context, new Map());
    const ref = history.adopt(ID, described(null, { A: 'NUMBER' }));
    const schema = history.current(ref).schema;
    expect(history.evolve(ref, 10n, described(null, { A: 'NUMBER' }))).toBeNull();
    expect(history.evolve(ref, 10n, described('7', { A: 'NUMBER' }))).toBeNull();
    expect(history.current(ref).schema).toBe(schema);
    expect(history.evolve(ref, 20n, described('7', { A: 'NUMBER', B: 'DATE' }))?.table.version).toBe(2);
    // A row shows that the catalogue was read too late: its shape goes in between.
    expect(history.evolve(ref, 15n, described('7', { A: 'NUMBER', C: 'DATE' }))?.table.version).toBe(3);
    const names = (scn: bigint): string =>
      history
        .modelAt(ref, scn)
        .schema.columns.map(({ name }) => name)
        .join('');
    expect([names(9n), names(14n), names(15n), names(19n), names(20n)]).toEqual(['A', 'A', 'AC', 'AC', 'AB']);
    expect(history.knows(ref, 20n)).toBe(true);
    expect(history.knows(ref, 21n)).toBe(false);
  });
});
