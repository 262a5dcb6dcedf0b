/** What `mode: auto` decides of Oracle, against the scripted server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decideCapture } from '../../src/daemon/sources/capture.ts';
import { oracleSource } from '../../src/daemon/sources/oracle.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { Reader } from '../../src/readers/reader.ts';
import { loadSettings } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/settings.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { serverWith } from '../support/oracle/harness.ts';
import { PollHarness } from '../support/oracle/poll-harness.ts';

const never = new AbortController().signal;
const TABLES = { 'Q.ORD': { columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)' }, pk: ['ID'] } };

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'oracle-auto-'))));
afterEach(() => rmSync(dir, { recursive: true }));

async function decide(server: FakeOracle, tables = 'Q.*'): Promise<{ mode: string; reason: string | null }> {
  const file = join(dir, 'shop.yaml');
  writeFileSync(
    file,
    `name: shop
source: { url: 'oracle://c%23%23cdc:cdc@127.0.0.1:1521/FREE', mode: auto, tables: ['${tables}'], poll: { every: 5s } }
emit: { file: { path: ${dir} } }
`,
  );
  const [settings] = await loadSettings([file], {});
  const harness = new PollHarness(server, { patterns: [tables] });
  const open = (of: Settings): Promise<Reader<unknown>> =>
    Promise.resolve<Reader<unknown>>(
      of.source.mode === 'poll' ? harness.reader() : oracleSource(of, server.connect, SILENT).openReader(),
    );
  try {
    const { mode, reason } = await decideCapture(settings!, never, open);
    return { mode, reason };
  } finally {
    expect(harness.close()).toEqual([]);
  }
}

test('the log, where it can be read', async () => {
  expect(await decide(serverWith(TABLES))).toEqual({
    mode: 'log',
    reason: 'mode is auto, and the log can be read',
  });
});

test.each<[string, (server: FakeOracle) => unknown, RegExp]>([
  ['no archiving', (server) => (server.logMode = 'NOARCHIVELOG'), /not in ARCHIVELOG/],
  ['no supplemental logging', (server) => (server.minimalLogging = 'NO'), /supplemental/i],
  ['no LOGMINING', (server) => server.privileges.delete('LOGMINING'), /lacks system privileges/],
  ['no DBMS_LOGMNR, as where a provider forbids it', (server) => (server.mayMine = false), /DBMS_LOGMNR/],
])('polling, where there is %s', async (_, change, reason) => {
  const server = serverWith(TABLES);
  change(server);
  const decided = await decide(server);
  expect(decided.mode).toBe('poll');
  expect(decided.reason).toMatch(reason);
  expect(decided.reason).toContain('mode is auto, and the log cannot be read');
});

test('polling, where a view is named', async () => {
  const server = serverWith(TABLES);
  server.views.push({ owner: 'Q', name: 'RECENT', of: 'Q.ORD' });
  expect((await decide(server, 'Q.RECENT')).mode).toBe('poll');
});

test('the log, where a name is nowhere', async () => {
  expect(await decide(serverWith(TABLES), 'Q.NOWHERE')).toEqual({ mode: 'log', reason: null });
});
