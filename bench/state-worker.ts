/** Fills one joined table, reads it and changes it, and prints what that cost as JSON. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTables } from '../src/enrichment/state/open-tables.ts';
import type { StoredRow } from '../src/enrichment/state/table-store.ts';

export interface StateTask {
  readonly store: 'memory' | 'disk';
  readonly rows: number;
}

export interface StateCost extends StateTask {
  readonly putsPerSecond: number;
  readonly getsPerSecond: number;
  readonly updatesPerSecond: number;
  /** Anonymous pages before the first row, and at the most: heap and buffers. */
  readonly emptyMb: number;
  readonly anonymousMb: number;
  /** Pages of files, which the system takes back when it needs them. */
  readonly mappedMb: number;
  readonly diskMb: number;
}

const READS = 1_000_000;
const A_COMMIT = 1_000;

/** 150 bytes as JSON. */
function customer(id: number, club: string): StoredRow {
  return [
    id,
    `Firstname${id % 5_000}`,
    `Lastname-${id % 70_000}`,
    `customer.${id}@example.com`,
    club,
    id % 3 === 0 ? null : 'Sheffield',
  ];
}

function memory(kind: 'RssAnon' | 'RssFile'): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return (Number(new RegExp(`^${kind}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

const { store, rows } = JSON.parse(process.argv[2] ?? '{}') as StateTask;
const dir = await mkdtemp(join(tmpdir(), 'headwater-bench-state-'));
try {
  await using tables = await openTables({
    dir,
    pipeline: 'bench',
    durable: store === 'disk',
    memoryLimit: Infinity,
  });
  const table = tables.table(0);
  tables.open(['customers']);
  tables.restored({ image: 'bench', frames: 1 }, new Map());
  const emptyMb = memory('RssAnon');
  let anonymousMb = emptyMb;
  /** Operations a second. */
  const timed = (count: number, work: (i: number) => void): number => {
    const from = performance.now();
    for (let i = 0; i < count; i++) {
      work(i);
      if (i % 50_000 === 0) anonymousMb = Math.max(anonymousMb, memory('RssAnon'));
    }
    anonymousMb = Math.max(anonymousMb, memory('RssAnon'));
    return count / ((performance.now() - from) / 1_000);
  };
  /** Anywhere in the table, the same in each run. */
  const any = (i: number): number => (i * 2_654_435_761) % rows;
  const putsPerSecond = timed(rows, (id) => table.put(id, customer(id, 'bronze')));
  tables.complete(0);
  const getsPerSecond = timed(READS, (i) => {
    if (table.get(any(i)) === undefined) throw new Error('A row is missing.');
  });
  const updatesPerSecond = timed(READS / 4, (i) => {
    table.put(any(i), customer(any(i), 'platinum'));
    if (i % A_COMMIT !== 0) return;
    tables.committing({ image: 'bench', frames: i + 2 }, new Map([[0, { asOf: null }]]));
    tables.committed();
  });
  let bytes = 0;
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  const cost: StateCost = {
    store,
    rows,
    putsPerSecond,
    getsPerSecond,
    updatesPerSecond,
    emptyMb,
    anonymousMb,
    mappedMb: memory('RssFile'),
    diskMb: bytes / 1e6,
  };
  console.log(JSON.stringify(cost));
} finally {
  await rm(dir, { recursive: true, force: true });
}
