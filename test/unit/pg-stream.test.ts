import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { valueOf } from '../../src/model/raw-row.ts';
import { ABSENT } from '../../src/model/value.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { PostgresPosition } from '../../src/readers/postgres/position.ts';
import { Relations } from '../../src/readers/postgres/relations.ts';
import { SchemaVersions } from '../../src/readers/schema-versions.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { ReplicationStream } from '../../src/readers/postgres/stream.ts';
import { unreadableValue } from '../../src/readers/unreadable-value.ts';
import type { TypeRegistry } from '../../src/readers/postgres/types/type-registry.ts';
import type { CopyStream, PgConnection } from '../../src/readers/postgres/wire/connection.ts';
import type { CopyChunk } from '../../src/readers/postgres/wire/copy-queue.ts';
import { begin, commit, insert, relation, updateOf } from '../support/pgoutput-frames.ts';
import { chunkOf } from '../support/pgoutput-recording.ts';

type PgBatch = Batch<PostgresPosition, PostgresSource>;

/** point (600) stands for types not every text is a value of: here it is a number, and nothing else can be read. */
const REGISTRY: TypeRegistry = {
  column: (oid) => ({
    type: { kind: oid === 23 ? 'int32' : oid === 600 ? 'point' : 'string' },
    nativeType: oid === 23 ? 'int4' : oid === 600 ? 'point' : 'text',
    length: null,
    scale: null,
    decode: (text) => {
      if (oid === 25) return text;
      if (!/^\d+$/.test(text)) throw unreadableValue('point');
      return Number(text);
    },
  }),
};

/** Reads chunks that come one at a time, the next when everything before has been taken, until `rows` have come. */
async function batchesOf(chunks: readonly CopyChunk[], rows: number): Promise<readonly PgBatch[]> {
  const waiting = [...chunks];
  const copy: CopyStream = {
    take: () => null,
    next: () => new Promise((resolve) => setImmediate(() => resolve(waiting.shift() ?? chunkOf([])))),
    wake() {},
    send() {},
    lastReceivedAt: performance.now(),
    paused: false,
  };
  const connection = { serverVersion: 180_000, copyBoth: () => Promise.resolve(copy) };
  const versions = new SchemaVersions(new Map());
  const end = new AbortController();
  const stream = await ReplicationStream.start(
    connection as unknown as PgConnection,
    {
      slot: 's',
      publications: ['p'],
      from: { lsn: 0, mid: null },
      messages: true,
      transactionMarkers: false,
      serverTimeoutMs: 0,
      relations: new Relations({
        isCaptured: () => true,
        tables: [],
        registry: REGISTRY,
        versions,
        describe: () => Promise.resolve(null),
        reloadRegistry: () => Promise.resolve(REGISTRY),
      }),
      versions,
      toast: { fill: () => Promise.resolve() },
      log: SILENT,
    },
    end.signal,
  );
  const batches: PgBatch[] = [];
  let seen = 0;
  try {
    for await (const batch of stream.batches(end.signal)) {
      batches.push(batch);
      seen += batch.changes.filter(({ kind }) => kind === 'row').length;
      if (seen >= rows && batch.resume?.mid === null) end.abort();
    }
  } finally {
    stream.stop();
  }
  return batches;
}

/** `count` transactions of `rows` rows each, from `first` on. */
function transactions(count: number, rows: number, text = 'x'): readonly Buffer[] {
  const frames: Buffer[] = [relation(1, 't', ['id', 'v'], [23, 25])];
  for (let tx = 0; tx < count; tx++) {
    const at = 1_000_000 * (tx + 1);
    frames.push(begin(at + rows, tx + 1, at));
    for (let row = 0; row < rows; row++) frames.push(insert(1, [String(tx * rows + row), text], at + row));
    frames.push(commit(at + rows, at + rows + 1));
  }
  return frames;
}

/** Cut at places that have nothing to do with transactions. */
function cut(frames: readonly Buffer[], size: number): readonly CopyChunk[] {
  const chunks: CopyChunk[] = [];
  for (let at = 0; at < frames.length; at += size) chunks.push(chunkOf(frames.slice(at, at + size)));
  return chunks;
}

const idsOf = (batches: readonly PgBatch[]): unknown[] =>
  batches.flatMap(({ changes }) =>
    changes.flatMap((change) => (change.kind === 'row' ? [valueOf(change.after!, 0)] : [])),
  );

describe('batches of the replication stream', () => {
  it.each([
    [37, 11],
    [37, 400],
    [37, 5000],
    [999, 333],
    [1001, 100],
    [1900, 640],
  ])('end at transaction ends: %i rows each, in chunks of %i frames', async (rows, chunk) => {
    const count = Math.ceil(7000 / rows);
    const batches = await batchesOf(cut(transactions(count, rows), chunk), count * rows);
    expect(idsOf(batches)).toEqual(Array.from({ length: count * rows }, (_, i) => i));
    expect(batches.map(({ resume }) => resume!.mid)).toEqual(batches.map(() => null));
    for (const { changes } of batches) expect(changes.length).toBeLessThan(1000 + rows);
  });

  it('end inside of a transaction that is larger than the limit, and at the last one', async () => {
    const batches = await batchesOf(cut(transactions(2, 4500), 450), 9000);
    expect(idsOf(batches)).toEqual(Array.from({ length: 9000 }, (_, i) => i));
    const sizes = batches.map(({ changes }) => changes.filter(({ kind }) => kind === 'row').length);
    // Patience once for each transaction; then what is there goes out, so that memory stays flat.
    expect(sizes.filter((size) => size > 1000)).toEqual([1999, 2000]);
    expect(sizes[0]).toBe(1999);
    expect(batches.filter(({ resume }) => resume!.mid === null)).toHaveLength(1);
    expect(batches.at(-1)!.resume).toEqual({ lsn: 2_004_501, mid: null });
  });

  it('close by bytes too, at the next end of a transaction', async () => {
    const batches = await batchesOf(cut(transactions(60, 37, 'x'.repeat(1000)), 90), 60 * 37);
    expect(idsOf(batches)).toHaveLength(60 * 37);
    for (const { resume, bytes } of batches) {
      expect(resume!.mid).toBeNull();
      expect(bytes).toBeLessThan((256 + 2 * 90) * 1100);
    }
    expect(batches.length).toBeGreaterThan(5);
  });
});

describe('a value that cannot be read', () => {
  const shape = (tables: readonly number[]): Buffer[] =>
    tables.map((oid) => relation(oid, `t${oid}`, ['id', 'n', 'v'], [23, 600, 25]));

  it('spoils its own change only, says where it was, and nothing of what it was', async () => {
    const frames = [
      ...shape([1, 2]),
      begin(900, 7, 100),
      insert(1, ['1', '10', 'a'], 110),
      insert(1, ['2', 'secret', 'b'], 120),
      insert(2, ['3', '30', 'c'], 130),
      updateOf(1, { old: ['4', 'secret', 'd'], now: ['4', '40', 'e'] }, 140),
      insert(1, ['5', '50', 'f'], 150),
      commit(900, 901),
    ];
    const batches = await batchesOf(cut(frames, 3), 5);
    const rows = batches.flatMap(({ changes }) => changes.filter((change) => change.kind === 'row'));
    expect(rows.map(({ seq, after, unreadable }) => [seq, after, unreadable?.message ?? null])).toEqual([
      [0, [1, 10, 'a'], null],
      [1, [2, ABSENT, 'b'], expect.stringContaining('public.t1 holds a value in the column n')],
      [2, [3, 30, 'c'], null],
      [3, [4, 40, 'e'], expect.stringContaining('of its type point')],
      [4, [5, 50, 'f'], null],
    ]);
    expect(rows[3]!.before).toEqual([4, ABSENT, 'd']);
    for (const { unreadable } of rows) {
      if (unreadable === undefined) continue;
      expect(unreadable).toMatchObject({
        code: 'source.value-unreadable',
        details: { table: 'public.t1', column: 'n' },
      });
      expect(JSON.stringify([unreadable, unreadable.message, unreadable.cause])).not.toContain('secret');
    }
    expect(batches.at(-1)!.resume).toEqual({ lsn: 901, mid: null });
  });

  it('does not hide that the stream itself is damaged', async () => {
    const row = insert(1, ['2', 'secret', 'b'], 120);
    const frames = [...shape([1]), begin(900, 7, 100), row.subarray(0, row.length - 1)];
    await expect(batchesOf(cut(frames, 3), 1)).rejects.toMatchObject({ code: 'source.protocol' });
  });
});
