import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { preparedAhead } from '../../src/pipeline/prepare-ahead.ts';

type Numbered = Batch<number>;

function batchOf(resume: number): Numbered {
  return { changes: [], bytes: 0, resume };
}

/** Batches 0 to `count` - 1, and whether the source was closed. */
function source(count: number): {
  readonly batches: AsyncGenerator<Numbered>;
  readonly closed: () => boolean;
} {
  let closed = false;
  async function* all(): AsyncGenerator<Numbered> {
    try {
      for (let i = 0; i < count; i++) yield batchOf(i);
    } finally {
      closed = true;
    }
  }
  return { batches: all(), closed: () => closed };
}

describe('batches prepared ahead', () => {
  it('all that the first waits for is asked for together, and batches keep their order', async () => {
    const gates: (() => void)[] = [];
    let most = 0;
    let open = 0;
    const emitter = {
      prepare: () =>
        new Promise<void>((resolve) => {
          most = Math.max(most, ++open);
          gates.push(() => {
            open--;
            resolve();
          });
        }),
    };
    const { batches } = source(200);
    const seen: (number | null)[] = [];
    const done = (async () => {
      for await (const { resume } of preparedAhead(batches, emitter, 64)) seen.push(resume);
    })();
    while (seen.length < 200) {
      // The latest first: an answer out of turn changes nothing.
      for (const answer of gates.splice(0).toReversed()) answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(most).toBe(64);
  });

  it('reads nothing ahead where nothing is waited for', async () => {
    let prepared = 0;
    const emitter = {
      prepare: () => {
        prepared++;
        return undefined;
      },
    };
    let seen = 0;
    for await (const _ of preparedAhead(source(20).batches, emitter, 64)) expect(prepared).toBe(++seen);
    expect(seen).toBe(20);
  });

  it('what cannot be prepared is thrown when it is its turn, and the source is closed', async () => {
    const emitter = {
      prepare: ({ resume }: Batch<unknown>) =>
        resume === 3 ? Promise.reject(new Error('no topic')) : Promise.resolve(),
    };
    const { batches, closed } = source(100);
    const seen: (number | null)[] = [];
    await expect(async () => {
      for await (const { resume } of preparedAhead(batches, emitter, 8)) seen.push(resume);
    }).rejects.toThrow('no topic');
    expect(seen).toEqual([0, 1, 2]);
    await expect.poll(closed).toBe(true);
  });
});
