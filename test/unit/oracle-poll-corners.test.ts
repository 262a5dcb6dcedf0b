/** Polling of tables and queries whose keys, types and servers are not the usual ones. */
import { afterEach, describe, expect, test } from 'vitest';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { serverWith, type TableScript } from '../support/oracle/harness.ts';
import { PollHarness, type PollTweaks } from '../support/oracle/poll-harness.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';
import { comparison, placeText, StatementBinds } from '../../src/readers/oracle/polling-places.ts';

const ORD: TableScript = {
  columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)', UPDATED: 'TIMESTAMP(6)', AT: 'DATE' },
  pk: ['ID'],
};
let harness: PollHarness | null = null;

function polling(server: FakeOracle, tweaks: PollTweaks = {}): PollHarness {
  return (harness = new PollHarness(server, tweaks));
}

afterEach(() => {
  if (harness !== null) expect(harness.close()).toEqual([]);
  harness = null;
});

describe('places of several columns', () => {
  const parts = ['A', 'B', 'C'].map((name) => ({ expression: `T."${name}"`, dataType: 'NUMBER' }));

  test('the first condition is one that an index serves', () => {
    const binds = new StatementBinds();
    expect(comparison(parts, ['1', '2', '3'], { operator: '>', binds })).toBe(
      '(T."A" >= TO_NUMBER(:p2) AND (T."A" > TO_NUMBER(:p2) OR (T."B" >= TO_NUMBER(:p1) AND (T."B" > TO_NUMBER(:p1) OR T."C" > TO_NUMBER(:p0)))))',
    );
    expect(binds.values).toEqual({ p0: '3', p1: '2', p2: '1' });
    const upTo = new StatementBinds();
    expect(comparison(parts.slice(0, 2), ['1', '2'], { operator: '<=', binds: upTo })).toBe(
      '(T."A" <= TO_NUMBER(:p1) AND (T."A" < TO_NUMBER(:p1) OR T."B" <= TO_NUMBER(:p0)))',
    );
  });

  test.each([
    ['RAW', 'RAWTOHEX(T.C)', 'HEXTORAW(:p0)'],
    ['NVARCHAR2', 'ASCIISTR(T.C)', 'UNISTR(:p0)'],
    ['ROWID', 'ROWIDTOCHAR(T.C)', 'CHARTOROWID(:p0)'],
    ['CHAR', 'T.C', ':p0'],
    ['BINARY_DOUBLE', 'T.C', ':p0'],
  ])('%s', (dataType, text, value) => {
    const part = { expression: 'T.C', dataType };
    expect(placeText(part)).toBe(text);
    expect(comparison([part], ['x'], { operator: '>', binds: new StatementBinds() })).toBe(`T.C > ${value}`);
  });
});

test('timestamps of two kinds cannot be compared', async () => {
  const tables = { 'Q.ORD': { mode: 'timestamp', timestamp: ['UPDATED', 'AT'] } } as const;
  await expect(polling(serverWith({ 'Q.ORD': ORD }), { tables }).run()).rejects.toMatchObject({
    code: 'settings.column-missing',
  });
  expect(harness!.close()).toEqual([]);
  const numbers = { 'Q.ORD': { mode: 'timestamp', timestamp: ['V'] } } as const;
  await expect(polling(serverWith({ 'Q.ORD': ORD }), { tables: numbers }).run()).rejects.toMatchObject({
    code: 'settings.column-missing',
  });
});

test('temporary tables, and Oracle’s own, are none', async () => {
  const server = serverWith({ 'Q.ORD': ORD, 'Q.TEMP': ORD, 'Q.MLOG$_ORD': ORD });
  server.tables[1]!.temporary = true;
  expect((await polling(server).describe()).map(({ id }) => id.table)).toEqual(['ORD']);
});

describe('preflight', () => {
  test('a standby does not tell which transactions run', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.role = 'PHYSICAL STANDBY';
    expect(await polling(server).preflight()).toContainEqual(
      expect.objectContaining({ check: 'standby', level: 'warning' }),
    );
  });

  test('a connection that is lost in the middle is a finding', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.faults.push({ on: 'SQL', within: 'T WHERE ROWNUM = 1', message: 'ORA-03113: end', times: 1 });
    expect(await polling(server).preflight()).toContainEqual(
      expect.objectContaining({ check: 'tables', code: 'source.connection-lost' }),
    );
  });

  test('of what lies behind a view nothing is said about indexes', async () => {
    const server = serverWith({ 'Q.ORD': ORD });
    server.views.push({ owner: 'Q', name: 'V', of: 'Q.ORD' });
    const tables = { 'Q.V': { mode: 'timestamp', timestamp: ['UPDATED'], key: ['ID'] } } as const;
    const findings = await polling(server, { patterns: ['Q.V'], tables, timeZone: 'UTC' }).preflight();
    expect(findings.map(({ message }) => message)).toContain(
      'Q.V is a view: whether an index serves its polling is not looked at.',
    );
  });
});

test('a lost connection where rows have no order ends the attempt, and the next goes on', async () => {
  const server = serverWith({ 'Q.ORD': { ...ORD, pk: [] } });
  server.tables[0]!.rows.push({
    scn: 1500n,
    rowId: rowIdOf(73_000, 1, 1),
    values: { ID: '1', V: '1', UPDATED: null, AT: null },
  });
  const h = polling(server);
  await h.run();
  server.faults.push({ on: 'READ', afterRows: 0, message: 'ORA-03113: end-of-file', times: 1 });
  await expect(h.run()).rejects.toMatchObject({ code: 'source.connection-lost' });
  await h.run();
  expect(h.events.map(({ op }) => op)).toContain('r');
});
