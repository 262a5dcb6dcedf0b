import { describe, expect, it } from 'vitest';
import { valueOf } from '../../src/model/raw-row.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Change } from '../../src/model/change.ts';
import type { PostgresPosition } from '../../src/readers/postgres/position.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { begin, commit, insert, logicalMessage, relation } from '../support/pgoutput-frames.ts';
import { chunkOf, decodeChunks, lineOf, loadRecording } from '../support/pgoutput-recording.ts';

/** test/fixtures/postgres/pgoutput-*.json, statement by statement. */
const EXPECTED = [
  'schema plain v1 (id,name,price,at,m,toasted)',
  'c plain [1, ascii, 1.50, 2024-02-29 12:00:00.123456+00, sad, t×3000]',
  'c plain [2, Grüße, 世界 🐘, null, null, happy, null]',
  'u plain [1, ascii, 2.25, 2024-02-29 12:00:00.123456+00, sad, ~]',
  'u plain [2, -, -, -, -, -] → [3, Grüße, 世界 🐘, null, null, happy, null]',
  'd plain [3, -, -, -, -, -]',
  'schema whole v1 (id,big,note)',
  'c whole [1, w×3000, a]',
  'u whole [1, w×3000, a] → [1, w×3000, b]',
  'd whole [1, w×3000, b]',
  'schema pair v1 (a,b,c)',
  'c pair [1, x, one]',
  'u pair [1, x, -] → [1, y, one]',
  'schema loose v1 (x,y)',
  'c loose [1, one]',
  'schema parts v1 (id,region,v)',
  'c parts [1, eu, v]',
  'c parts [2, us, w]',
  'd parts [1, eu, -]',
  'c parts [1, us, v]',
  'truncate plain',
  'truncate loose',
  'message in 7472616e73616374696f6e616c',
  'message out 00ff outside',
  'schema plain v2 (id,name,price,at,m,toasted,extra)',
  'c plain [9, after, 1.00, null, null, null, 8]',
  'schema plain v3 (id,price,at,m,toasted,extra)',
  'c plain [10, 2.00, null, null, null, 9]',
  'message end ',
];

describe.each([15, 18] as const)('pgoutput of PostgreSQL %i, recorded', (version) => {
  const recording = loadRecording(version);

  it('gives every change as it was made', async () => {
    const { changes } = await decodeChunks(recording, [chunkOf(recording.frames)]);
    expect(changes.map(lineOf)).toEqual(EXPECTED);
  });

  it('gives the same whatever the chunks and batches', async () => {
    const chunks = recording.frames.map((frame) => chunkOf([frame]));
    const { changes } = await decodeChunks(recording, chunks, { maxChanges: 1 });
    expect(changes.map(lineOf)).toEqual(EXPECTED);
  });

  it('gives positions and transactions that only grow', async () => {
    const { changes, decoder } = await decodeChunks(recording, [chunkOf(recording.frames)]);
    const rows = changes.filter((change) => change.kind === 'row');
    let last = { commit: 0, lsn: 0, seq: 0 };
    for (const { tx, at, seq } of rows) {
      expect(at.tx).toBe(tx);
      expect(at.lsn).toBeLessThanOrEqual(at.tx.commitLsn);
      expect(at.tx.lastCommitLsn).toBeLessThanOrEqual(at.tx.commitLsn);
      if (at.tx.commitLsn === last.commit) {
        expect(seq).toBeGreaterThan(last.seq);
        expect(at.lsn).toBeGreaterThanOrEqual(last.lsn);
      } else {
        expect(at.tx.commitLsn).toBeGreaterThan(last.commit);
        expect(seq).toBe(0);
      }
      last = { commit: at.tx.commitLsn, lsn: at.lsn, seq };
    }
    expect(decoder.position).toEqual({ lsn: expect.any(Number), mid: null });
    expect(decoder.position.lsn).toBeGreaterThan(last.commit);
  });

  it('resumes behind each change exactly with the next', async () => {
    const stops: { readonly position: PostgresPosition; readonly delivered: number }[] = [];
    let delivered = 0;
    const whole = chunkOf(recording.frames);
    const countable = (kind: string): boolean => kind !== 'schema';
    await decodeChunks(recording, [whole], {
      maxChanges: 1,
      onStop: (decoder) => {
        delivered += decoder.changes.filter(({ kind }) => countable(kind)).length;
        stops.push({ position: decoder.position, delivered });
      },
    });
    const lines = EXPECTED.filter((line) => !line.startsWith('schema'));
    expect(stops.at(-1)!.delivered).toBe(lines.length);
    expect(stops.some(({ position }) => position.mid !== null)).toBe(true);
    for (const { position, delivered: before } of stops) {
      const { changes } = await decodeChunks(recording, [chunkOf(since(recording.frames, position.lsn))], {
        from: position,
      });
      expect(changes.filter(({ kind }) => countable(kind)).map(lineOf)).toEqual(lines.slice(before));
    }
  });

  it('passes over tables that are not captured and counts them in positions all the same', async () => {
    const isCaptured = ({ table }: { table: string }): boolean => table === 'parts';
    const { changes } = await decodeChunks(recording, [chunkOf(recording.frames)], { isCaptured });
    expect(changes.filter(({ kind }) => kind === 'row').map(lineOf)).toEqual(
      EXPECTED.filter((line) => /^[cud] parts/.test(line)),
    );
  });

  it('marks transactions once, also where one is resumed in the middle', async () => {
    const { changes } = await decodeChunks(recording, [chunkOf(recording.frames)], { markers: true });
    const kinds = changes.map(({ kind }) => kind);
    const begins = kinds.filter((kind) => kind === 'begin').length;
    expect(begins).toBeGreaterThan(10);
    expect(kinds.filter((kind) => kind === 'end')).toHaveLength(begins);
    const first = changes.find((change) => change.kind === 'row')!;
    const resumed = await decodeChunks(recording, [chunkOf(recording.frames)], {
      markers: true,
      from: { lsn: 0, mid: { commitLsn: first.at.tx.commitLsn, done: 1, messages: 0 } },
    });
    expect(resumed.changes.map(({ kind }) => kind).slice(0, 4)).toEqual(['schema', 'row', 'end', 'begin']);
  });

  it('refuses a checkpoint inside of another transaction', async () => {
    const from = { lsn: 0, mid: { commitLsn: 1, done: 1, messages: 0 } };
    await expect(decodeChunks(recording, [chunkOf(recording.frames)], { from })).rejects.toMatchObject({
      code: 'source.position-lost',
    });
  });

  it('answers every cut-off frame with a clear error or nothing, never with wrong rows', async () => {
    for (const [i, frame] of recording.frames.entries()) {
      const before = recording.frames.slice(0, i);
      const intact = await linesOf(before);
      for (const length of [0, 1, 24, 25, 26, 30, 34, 40, frame.length - 9, frame.length - 1]) {
        if (length < 0 || length >= frame.length) continue;
        const cut = chunkOf([...before, frame.subarray(0, length)]);
        try {
          const { changes } = await decodeChunks(recording, [cut]);
          expect(changes.map(lineOf).slice(0, intact.length)).toEqual(intact);
          expect(changes.filter(({ kind }) => kind === 'row').length).toBe(
            intact.filter((line) => /^[cud] /.test(line)).length,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(HeadwaterError);
          expect((error as HeadwaterError).code).toBe('source.protocol');
        }
      }
    }
  });

  it('survives random bytes with a clear error', async () => {
    let seed: number = version;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return seed % below;
    };
    for (let round = 0; round < 3000; round++) {
      const frames = recording.frames.map((frame) => frame);
      const target = random(frames.length);
      const copy = Buffer.from(frames[target]!);
      for (let flips = 1 + random(4); flips > 0; flips--) copy[random(copy.length)] = random(256);
      frames[target] = copy;
      try {
        await decodeChunks(recording, [chunkOf(frames)]);
      } catch (error) {
        expect(error).toBeInstanceOf(HeadwaterError);
        expect((error as HeadwaterError).code).toMatch(/^source\.(protocol|position-lost)$/);
      }
    }
  });

  async function linesOf(frames: readonly Buffer[]): Promise<string[]> {
    return (await decodeChunks(recording, [chunkOf(frames)])).changes.map(lineOf);
  }
});

/** What the server would send from `lsn` on: whole transactions whose COMMIT is not before it. */
function since(frames: readonly Buffer[], lsn: number): readonly Buffer[] {
  const kept: Buffer[] = [];
  const relations = new Map<number, Buffer>();
  let sending = false;
  for (const frame of frames) {
    const type = String.fromCharCode(frame[25]!);
    if (type === 'R') relations.set(frame.readUInt32BE(26), frame);
    if (type === 'B') {
      sending = uint64(frame, 26) >= lsn;
      // A new session describes each table anew before its first row.
      if (sending) kept.push(frame, ...relations.values());
      continue;
    }
    const outside = type === 'M' && frame[26] === 0;
    if (outside ? uint64(frame, 27) >= lsn : sending) kept.push(frame);
  }
  return kept;
}

function uint64(buffer: Buffer, at: number): number {
  return Number(buffer.readBigUInt64BE(at));
}

describe('a checkpoint inside of a transaction with messages', () => {
  /** m messages, r rows: what the transaction holds, in order. */
  const content = ['m1', 'm2', 'r1', 'r2', 'm3', 'm4', 'r3', 'm5'];
  const framesOf = (asked: boolean): readonly Buffer[] => [
    begin(900, 7, 100),
    relation(1, 't', ['id'], [25]),
    ...content
      .filter((each) => asked || each.startsWith('r'))
      .map((each, i) =>
        each.startsWith('m') ? logicalMessage(each, '', 200 + i) : insert(1, [each], 200 + i),
      ),
    commit(900, 950),
  ];
  const decode = (asked: boolean, setup: Parameters<typeof decodeChunks>[2]) =>
    decodeChunks(
      { server: 180_000, start: '0/0', types: {}, frames: framesOf(asked) },
      [chunkOf(framesOf(asked))],
      setup,
    );
  const namesOf = (changes: readonly Change<PostgresSource>[]): readonly string[] =>
    changes.flatMap((change) =>
      change.kind === 'message'
        ? [change.prefix]
        : change.kind === 'row'
          ? [String(valueOf(change.after!, 0))]
          : [],
    );

  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('means the same whether messages are asked for (then %s, now %s)', async (before, after) => {
    const stops: { readonly position: PostgresPosition; readonly passed: readonly string[] }[] = [];
    const passed: string[] = [];
    await decode(before, {
      maxChanges: 1,
      onStop: (decoder) => {
        passed.push(...namesOf(decoder.changes));
        stops.push({ position: decoder.position, passed: [...passed] });
      },
    });
    const inside = stops.filter(({ position }) => position.mid !== null);
    const different = new Set(inside.map(({ position }) => JSON.stringify(position)));
    expect(different.size).toBe(before ? content.length : 3);
    for (const { position, passed: done } of inside) {
      const { changes, decoder } = await decode(after, { from: position });
      const last = content.indexOf(done.at(-1)!);
      const rest = content.slice(last + 1);
      expect(namesOf(changes)).toEqual(after ? rest : rest.filter((each) => each.startsWith('r')));
      expect(decoder.position).toEqual({ lsn: 950, mid: null });
      // Resumed, and stopped again behind what comes first: the count goes on.
      const positions: PostgresPosition[] = [];
      await decode(after, { from: position, maxChanges: 1, onStop: (each) => positions.push(each.position) });
      if (before === after) {
        const known = stops.map((each) => each.position);
        for (const each of positions) expect(known).toContainEqual(each);
      }
    }
  });
});
