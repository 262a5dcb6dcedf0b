/** Large columns that the log does not have, asked for again; and changes that are left out by their user. */
import { afterEach, expect, test } from 'vitest';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = {
  'Q.DOC': {
    columns: { ID: 'NUMBER(9,0)', LANG: 'VARCHAR2(2)', TITLE: 'VARCHAR2(40)', BODY: 'CLOB', BIN: 'BLOB' },
    pk: ['ID', 'LANG'],
  },
};
const [A, B] = [xid(1), xid(2)];

let harness: Harness;

function run(script: RedoScript, tweaks: ConstructorParameters<typeof Harness>[1] = {}): Harness {
  const server = serverWith(TABLES);
  server.redo = script.rows;
  harness = new Harness(server, { lobReselect: true, ...tweaks });
  return harness;
}

/** A row of the table from that SCN on. */
function holds(server: FakeOracle, scn: bigint, title: string, body: string | null): void {
  const values = { ID: '1', LANG: 'de', TITLE: title, BODY: body, BIN: Buffer.from('cafe', 'hex') };
  server.tables[0]!.rows.push({ scn, rowId: 'AAA1', values });
}

const renamed = (): RedoScript =>
  new RedoScript()
    .update(A, 'Q.DOC', { TITLE: 'b' }, { ID: '1', LANG: 'de', TITLE: 'a' })
    .commit(A, { at: 2020 });

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

test('as of the commit', async () => {
  const h = run(renamed());
  holds(h.server, 2020n, 'b', 'then');
  holds(h.server, 2025n, 'b', 'later');
  await h.poll(2030n);
  expect(h.events).toMatchObject([
    { op: 'u', before: { BODY: '<unchanged>' }, after: { TITLE: 'b', BODY: 'then', BIN: 'hex cafe' } },
  ]);
});

test('an insert whose LOBs are not followed', async () => {
  const h = run(
    new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', LANG: 'de', BODY: '=EMPTY_CLOB()' })
      .commit(A, { at: 2020 }),
  );
  holds(h.server, 2020n, 'b', 'text');
  await h.poll(2030n);
  expect(h.events).toMatchObject([{ op: 'c', after: { TITLE: null, BODY: 'text', BIN: null } }]);
});

test('its undo is gone: as it is now; a row that is gone stays unknown', async () => {
  const h = run(renamed());
  holds(h.server, 2020n, 'b', 'then');
  holds(h.server, 2025n, 'b', null);
  h.server.tables[0]!.undoHorizon = 2022n;
  await h.poll(2030n);
  expect(h.events[0]!.after).toMatchObject({ BODY: null, BIN: 'hex cafe' });
  await h.close();
  const gone = run(renamed());
  await gone.poll(2030n);
  expect(gone.events[0]!.after).toMatchObject({ BODY: '<unchanged>', BIN: '<unchanged>' });
});

test.each(['ORA-00904: invalid identifier', 'ORA-00942: table or view does not exist'])(
  'the table has other columns by now, or is gone (%s): the value stays unknown, and the stream goes on',
  async (message) => {
    const h = run(renamed().insert(B, 'Q.DOC', { ID: '2', LANG: 'de' }).commit(B));
    holds(h.server, 2020n, 'b', 'then');
    h.server.faults.push({ on: 'RESELECT', message, times: 1 });
    await h.poll(2030n);
    expect(h.events).toMatchObject([{ op: 'u', after: { TITLE: 'b', BODY: '<unchanged>' } }, { op: 'c' }]);
  },
);

test('without the key, and without the setting, nothing is asked', async () => {
  const h = run(renamed());
  h.server.tables[0]!.key = [];
  await h.poll(2030n);
  expect(h.events[0]!.after).toMatchObject({ BODY: '<unchanged>' });
  await h.close();
  const off = run(renamed(), { lobReselect: false });
  holds(off.server, 2020n, 'b', 'then');
  await off.poll(2030n);
  expect(off.events[0]!.after).toMatchObject({ BODY: '<unchanged>' });
  for (const { server } of [h, off]) {
    expect(server.statements.filter((sql) => sql.includes('T."ID" ='))).toEqual([]);
  }
});

test('the connection is lost in it: another attempt, and nothing missing', async () => {
  const h = run(renamed());
  holds(h.server, 2020n, 'b', 'then');
  h.server.faults.push({
    on: 'RESELECT',
    message: 'ORA-03113: end-of-file on communication channel',
    times: 1,
  });
  await expect(h.poll(2030n)).rejects.toMatchObject({ code: 'source.connection-lost' });
  await h.restart();
  await h.poll(2030n);
  expect(h.events).toMatchObject([{ after: { BODY: 'then' } }]);
});

test('what an excluded user changes is left out, in the middle of a stream and over a restart', async () => {
  const extra = { USERNAME: 'BATCH' };
  const script = new RedoScript()
    .start(A, { extra: { USERNAME: 'UNKNOWN' } })
    .insert(A, 'Q.DOC', { ID: '1', LANG: 'de' }, { extra })
    .insert(B, 'Q.DOC', { ID: '2', LANG: 'de' }, { extra: { USERNAME: 'APP' } })
    .commit(A, { extra })
    .commit(B);
  const h = run(script, { lobReselect: false, excludeUsers: ['BATCH'] });
  await h.poll(2030n);
  expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['2']);
  await h.restart(0);
  await h.poll(2030n);
  expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['2']);
});
