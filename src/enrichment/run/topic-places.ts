/**
 * How far topics have been worked off, in the state of the queries over them: a key for each partition, `<place>/<partition>`,
 * with `{topic, offset}`.
 */
import type { TopicReader } from '../../emitter/topic-reader.ts';
import type { PausedQuery, PausedStatement } from '../plan/program.ts';
import type { TopicSource } from '../sources/topic-source.ts';
import { openInput } from '../topics/open-input.ts';
import { checkpointName } from '../state/group-store.ts';

const INPUT_PREFIX = 'enrich-input/';
const TABLE_PREFIX = 'enrich-input-table/';

/** Of a query: named after what it writes and reads, whatever other statements there are. Adds it to `taken`. */
export function inputPlace(
  { target, input, made }: Pick<PausedQuery, 'target' | 'input' | 'made'>,
  taken: Set<string>,
): string {
  const name =
    INPUT_PREFIX + encodeURIComponent(`${target.name} ${input.name}${made === null ? '' : ` ${made}`}`);
  let place = name;
  for (let i = 2; taken.has(place); i++) place = `${name}+${i}`;
  taken.add(place);
  return place;
}

/** Of a table that a topic holds. */
export function tablePlace(table: string): string {
  return TABLE_PREFIX + checkpointName(table);
}

/** Takes the places of statements that are paused, which go on from there. */
export class PausedPlaces {
  readonly #queries: readonly PausedQuery[];
  readonly #taken: Set<string>;
  #next = 0;

  constructor(paused: readonly PausedStatement[], taken: Set<string>) {
    this.#queries = paused.flatMap(({ query }) => query ?? []);
    this.#taken = taken;
  }

  /** Of those that stand before the query over topics with that index. */
  takeBefore(index: number): void {
    for (let query = this.#queries[this.#next]; query !== undefined && query.behind <= index;) {
      inputPlace(query, this.#taken);
      query = this.#queries[++this.#next];
    }
  }
}

/** Keys of places that are nobody's any more. */
export function forgottenPlaces(
  known: ReadonlyMap<string, string>,
  kept: ReadonlySet<string>,
): readonly string[] {
  return [...known.keys()].filter(
    (key) =>
      (key.startsWith(INPUT_PREFIX) || key.startsWith(TABLE_PREFIX)) &&
      !kept.has(key.slice(0, key.lastIndexOf('/'))),
  );
}

/** Null where the state has none of that topic. */
export function storedOffset(
  known: ReadonlyMap<string, string>,
  { place, partition, topic }: { readonly place: string; readonly partition: number; readonly topic: string },
): number | null {
  const text = known.get(`${place}/${partition}`);
  if (text === undefined) return null;
  const stored = JSON.parse(text) as { readonly topic: string; readonly offset: number };
  return stored.topic === topic ? stored.offset : null;
}

/** A query that is new begins with the first record that is there, or with the next one. */
export async function startOf(
  reader: TopicReader,
  source: TopicSource,
  {
    known,
    place,
    latest,
  }: { readonly known: ReadonlyMap<string, string>; readonly place: string; readonly latest: boolean },
): Promise<{ readonly offsets: readonly number[]; readonly ends: readonly number[] }> {
  const { topic } = source;
  const count = await openInput(reader, source);
  const ranges = await Promise.all(Array.from({ length: count }, (_, partition) => reader.range(partition)));
  // The reader tells of records that are gone, and of a topic that was made anew.
  const stored = ranges.map((_, partition) => storedOffset(known, { place, partition, topic }));
  // A partition that was added while the query ran is read from its beginning.
  const isNew = stored.every((offset) => offset === null);
  const offsets = ranges.map(
    ({ start, end }, partition) => stored[partition] ?? (latest && isNew ? end : Math.min(start, end)),
  );
  return { offsets, ends: ranges.map(({ end }) => end) };
}
