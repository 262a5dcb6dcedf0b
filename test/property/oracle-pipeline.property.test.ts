/**
 * From the settings file to the file sink, with a scripted server in place of the driver: snapshot, stream, errors,
 * attempts that end anywhere. What lies in the files is the table, each record once.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partsOf } from '../../src/daemon/compose.ts';
import { oracleSource } from '../../src/daemon/sources/oracle.ts';
import { SILENT } from '../../src/observability/log.ts';
import { runAttempt } from '../../src/pipeline/attempt.ts';
import { PipelineControl } from '../../src/pipeline/control.ts';
import { PipelineMonitor } from '../../src/pipeline/monitor.ts';
import { loadSettings } from '../../src/settings/load.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { historyOf, steps } from '../support/oracle/random-history.ts';

interface Record_ {
  readonly topic: string;
  readonly key: { readonly ID: number };
  readonly value: {
    readonly op: string;
    readonly after: { readonly ID: number; readonly NAME: string } | null;
    readonly source: Readonly<Record<string, unknown>>;
  } | null;
}

/** One attempt: until what is in the log at its start is delivered, or broken off after so many records. */
async function attempt(file: string, server: FakeOracle): Promise<string> {
  const [settings] = await loadSettings([file], {});
  const parts = partsOf(
    settings!,
    { untilCaughtUp: true, startedAt: Date.now(), lost: null, log: SILENT, control: new PipelineControl() },
    oracleSource(settings!, server.connect, SILENT),
  );
  const monitor = new PipelineMonitor({
    name: 'orcl',
    connector: 'oracle',
    progressTimeoutMs: 60_000,
    now: Date.now,
  });
  return runAttempt(parts, monitor, new AbortController().signal, SILENT);
}

async function records(directory: string): Promise<Record_[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.jsonl')).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n').filter((line) => line !== ''))
    .map((line) => JSON.parse(line) as Record_);
}

async function inDirectory(body: (file: string, out: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'headwater-oracle-e2e-'));
  try {
    const file = join(directory, 'orcl.yaml');
    await writeFile(
      file,
      `name: orcl
source:
  url: oracle://c%23%23cdc@db:1521/orclpdb.example.com
  tables: ['Q.*']
snapshot: { chunk_rows: 100 }
emit:
  file: { path: ./out }
  tombstones: false
state: { dir: ./state }
`,
    );
    await body(file, join(directory, 'out'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('the records, with Debezium’s source block', async () => {
  await inDirectory(async (file, out) => {
    const { server, end } = historyOf([
      { session: 0, kind: 'put', table: 0, key: 1, text: 'a' },
      { session: 0, kind: 'commit', table: 0, key: 1, text: '' },
      { session: 1, kind: 'put', table: 1, key: 2, text: "'" },
      { session: 1, kind: 'commit', table: 0, key: 1, text: '' },
    ]);
    // The first is in the snapshot, the second in the stream.
    server.currentScn = 2013n;
    expect(await attempt(file, server)).toBe('complete');
    server.currentScn = end;
    expect(await attempt(file, server)).toBe('complete');
    const [read, created] = await records(out);
    expect(read).toMatchObject({
      topic: 'orcl.Q.ORD',
      key: { ID: 1 },
      value: { op: 'r', after: { ID: 1, NAME: 'a' } },
    });
    expect(read?.value?.source).toMatchObject({
      connector: 'oracle',
      db: 'ORCLPDB',
      schema: 'Q',
      table: 'ORD',
      scn: '2013',
      snapshot: 'last',
      txId: null,
    });
    expect(created).toMatchObject({
      topic: 'orcl.Q.ITEM',
      key: { ID: 2 },
      value: { op: 'c', after: { ID: 2, NAME: "'" } },
    });
    expect(created?.value?.source).toEqual({
      version: '3.2.0.Final',
      connector: 'oracle',
      name: 'orcl',
      ts_ms: Date.parse('2024-05-01T10:00:05Z'),
      snapshot: 'false',
      db: 'ORCLPDB',
      sequence: null,
      ts_us: Date.parse('2024-05-01T10:00:05Z') * 1000,
      ts_ns: Date.parse('2024-05-01T10:00:05Z') * 1_000_000,
      schema: 'Q',
      table: 'ITEM',
      txId: '0002000200000002',
      scn: '2015',
      commit_scn: '2016',
      lcr_position: null,
      rs_id: '0x000005.00000001.0010',
      ssn: 0,
      redo_thread: 1,
      user_name: null,
      redo_sql: null,
      row_id: expect.any(String) as string,
      commit_ts_ms: Date.parse('2024-05-01T10:00:06Z'),
      start_scn: '2014',
      start_ts_ms: Date.parse('2024-05-01T10:00:04Z'),
      txSeq: 1,
    });
  });
});

test('whatever breaks and wherever the snapshot falls: the files are the table, each change once', async () => {
  const faults = fc.array(
    fc.record({
      on: fc.constantFrom('FETCH', 'READ'),
      rows: fc.nat(30),
      message: fc.constantFrom('ORA-03113: end-of-file', 'ORA-00310: archived log'),
    }),
    { maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), faults, (list, at, planned) =>
      inDirectory(async (file, out) => {
        const history = historyOf(list);
        const { server, end } = history;
        const scn = 2000n + BigInt(at % Number(end - 2000n));
        server.currentScn = scn;
        server.openTransactions = [2005n];
        for (const { on, rows, message } of planned)
          server.faults.push({ on, afterRows: rows, message, times: 1 });
        const running = async (): Promise<void> => {
          for (let attempts = 0; attempts < 8; attempts++) {
            if ((await attempt(file, server).catch(() => 'failed')) === 'complete') return;
          }
          throw new Error('it does not come to an end');
        };
        await running();
        // The database goes on, and so does a new process.
        server.currentScn = end;
        await running();
        const rows = new Map<string, string>();
        const seen = new Set<string>();
        for (const { topic, key, value } of await records(out)) {
          const place = `${topic.replace('orcl.', '')} ${key.ID}`;
          const { op, after, source } = value!;
          const id = op === 'r' ? `r ${place}` : `${String(source['txId'])} ${String(source['txSeq'])}`;
          expect(seen.has(id)).toBe(false);
          seen.add(id);
          if (after === null) rows.delete(place);
          else rows.set(place, after.NAME);
        }
        expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(history.rows));
        expect(server.violations).toEqual([]);
        expect([server.openCursors, server.openSessions, server.miningSessions]).toEqual([0, 0, 0]);
      }),
    ),
    { numRuns: 25 },
  );
});
