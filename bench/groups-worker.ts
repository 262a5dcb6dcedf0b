/** Makes windowed groups, counts into them anew, restores them, and prints what that cost as JSON. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { Aggregation } from '../src/enrichment/run/aggregation.ts';
import { openGroups } from '../src/enrichment/state/open-tables.ts';
import { checkedProgram } from '../test/support/checked-program.ts';

export interface GroupsTask {
  readonly store: 'memory' | 'disk';
  readonly groups: number;
}

export interface GroupsCost extends GroupsTask {
  readonly madePerSecond: number;
  readonly updatesPerSecond: number;
  /** User and system. */
  readonly cpuSeconds: number;
  readonly restoreSeconds: number;
  /** Anonymous pages before the first group, and at the most: heap and buffers. */
  readonly emptyMb: number;
  readonly anonymousMb: number;
  /** Pages of files, which the system takes back when it needs them. */
  readonly mappedMb: number;
  readonly diskMb: number;
}

const KEYS = 100_000;
const WINDOW_MS = 60_000;
const A_COMMIT = 2_000;
const SQL = `
  CREATE STREAM ratings (customer BIGINT, stars INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');
  CREATE TABLE rated AS SELECT customer, COUNT(*) AS ratings, AVG(stars) AS stars FROM ratings
    WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY customer;`;

function memory(kind: 'RssAnon' | 'RssFile'): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return (Number(new RegExp(`^${kind}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

function compiled() {
  const { queries } = checkedProgram(SQL);
  const [plan] = queries;
  if (plan?.group == null || plan.store === null) throw new Error('The statement has no groups.');
  return { group: plan.group, store: plan.store };
}

const { store: kind, groups } = JSON.parse(process.argv[2] ?? '{}') as GroupsTask;
const dir = await mkdtemp(join(tmpdir(), 'headwater-bench-groups-'));
try {
  await using texts = await openGroups({ dir, name: 'bench' }, kind === 'disk');
  texts.clear();
  const note = (): void => {};
  const { group, store } = compiled();
  store.restore({ known: new Map(), groups: texts, continuous: true, epoch: 1, note });
  const aggregation = new Aggregation({ group, store, target: { emit: () => null }, note });
  const known = new Map<string, string>();
  const frame = { rows: [[0, 0]], time: 0, change: null, note };
  const emptyMb = memory('RssAnon');
  let anonymousMb = emptyMb;
  /** As a sink has it when a commit is durable. */
  const commit = (): void => {
    for (const [key, value] of store.flush())
      if (key.startsWith(texts.prefix)) texts.set(key, value);
      else known.set(key, value ?? '');
    store.committing();
    store.committed();
  };
  const timed = async (count: number, numberOf: (i: number) => number): Promise<number> => {
    const from = performance.now();
    for (let i = 0; i < count; i++) {
      const n = numberOf(i);
      const row = [n % KEYS, n % 6];
      const time = Math.floor(n / KEYS) * WINDOW_MS + (n % WINDOW_MS);
      frame.rows = [row];
      frame.time = time;
      aggregation.add(frame, { row, hasValue: true, seq: 0, time, change: null, headers: null }, false);
      if (i % A_COMMIT !== A_COMMIT - 1) continue;
      commit();
      anonymousMb = Math.max(anonymousMb, memory('RssAnon'));
      // As a daemon, which waits for Kafka here.
      await immediate();
    }
    commit();
    anonymousMb = Math.max(anonymousMb, memory('RssAnon'));
    return count / ((performance.now() - from) / 1_000);
  };
  const cpu = process.cpuUsage();
  const madePerSecond = await timed(groups, (i) => i);
  const updatesPerSecond = await timed(groups / 2, (i) => (i * 2_654_435_761) % groups);
  const { user, system } = process.cpuUsage(cpu);
  if (store.size !== groups) throw new Error(`There are ${store.size} groups, and not ${groups}.`);
  const mappedMb = memory('RssFile');
  const from = performance.now();
  compiled().store.restore({ known, groups: texts, continuous: true, epoch: 2, note });
  const restoreSeconds = (performance.now() - from) / 1_000;
  let bytes = 0;
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  const cost: GroupsCost = {
    store: kind,
    groups,
    madePerSecond,
    updatesPerSecond,
    cpuSeconds: (user + system) / 1e6,
    restoreSeconds,
    emptyMb,
    anonymousMb,
    mappedMb,
    diskMb: bytes / 1e6,
  };
  console.log(JSON.stringify(cost));
} finally {
  await rm(dir, { recursive: true, force: true });
}
