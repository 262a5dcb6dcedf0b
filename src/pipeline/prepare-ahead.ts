import type { Emitter } from '../emitter/emitter.ts';
import type { Batch } from '../model/batch.ts';
import type { SourceInfo } from '../model/change.ts';

/**
 * The batches in their order, each prepared. While the topics and schemas of one are awaited, those after it are read
 * and prepared too, `ahead` of them at most: where every batch is of another table, as in the snapshot of thousands of
 * small ones, what they need is then asked for together.
 *
 * What `batches` does when it is asked for the next one may not depend on the one before having been delivered.
 */
export async function* preparedAhead<P, S extends SourceInfo>(
  batches: AsyncIterable<Batch<P, S>>,
  emitter: Pick<Emitter, 'prepare'>,
  ahead: number,
): AsyncGenerator<Batch<P, S>> {
  const iterator = batches[Symbol.asyncIterator]();
  const waiting: Waiting<P, S>[] = [];
  let reading: Promise<IteratorResult<Batch<P, S>>> | null = null;
  let ended = false;
  const read = (): Promise<IteratorResult<Batch<P, S>>> => {
    const next = iterator.next();
    // Seen when it is its turn.
    next.catch(() => {});
    return next;
  };
  const take = (next: IteratorResult<Batch<P, S>>): void => {
    reading = null;
    if (next.done === true) {
      ended = true;
      return;
    }
    const preparing = emitter.prepare(next.value);
    preparing?.catch(() => {});
    waiting.push({ batch: next.value, preparing });
  };
  try {
    for (;;) {
      const first = waiting[0];
      if (first === undefined) {
        if (ended) return;
        take(await (reading ??= read()));
      } else if (first.preparing === undefined) {
        waiting.shift();
        yield first.batch;
      } else if (ended || waiting.length >= ahead) {
        await first.preparing;
        first.preparing = undefined;
      } else {
        const next = await Promise.race([(reading ??= read()), first.preparing]);
        if (next === undefined) first.preparing = undefined;
        else take(next);
      }
    }
  } finally {
    // A read under way ends with the attempt, and may wait for that.
    const closing = iterator.return?.();
    if (reading === null) await closing;
    else closing?.catch(() => {});
  }
}

interface Waiting<P, S extends SourceInfo> {
  readonly batch: Batch<P, S>;
  /** Undefined where nothing is waited for. */
  preparing: Promise<void> | undefined;
}
