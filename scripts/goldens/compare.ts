/**
 * Debezium's records against ours, per topic: rows of a snapshot as a set, the others in order. What cannot be
 * equal (times, positions, ids) is dropped; NULLs are taken from the recording that keeps them.
 */
import { expectedDifference, type Difference } from './expected-differences.ts';
import type { Json } from './exact-json.ts';
import { fieldOf, type GoldenRecord, opOf, type Recording } from './recording.ts';

export interface Comparison {
  readonly records: number;
  /** Differences nobody has listed: defects of ours. */
  readonly unexpected: readonly Difference[];
  /** Reason → the differences it explains. */
  readonly expected: ReadonlyMap<string, readonly Difference[]>;
}

const DROPPED_OF_SOURCE: ReadonlySet<string> = new Set([
  'version',
  'ts_ms',
  'ts_us',
  'ts_ns',
  'lsn',
  'txId',
  'xmin',
  'sequence',
]);

/** Where in the log a change stands: compared only is whether there is such a place. */
const PLACES_OF_SOURCE: ReadonlySet<string> = new Set(['pos', 'file', 'gtid', 'thread', 'server_id']);

export function compare(recording: Recording, ours: readonly GoldenRecord[]): Comparison {
  const unexpected: Difference[] = [];
  const expected = new Map<string, Difference[]>();
  const note = (difference: Difference): void => {
    const reason = expectedDifference(difference);
    if (reason === null) unexpected.push(difference);
    else expected.set(reason, [...(expected.get(reason) ?? []), difference]);
  };
  const theirs = merged(recording);
  // Whether there are heartbeats is a matter of time.
  const recorded = new Set(
    theirs.map((r) => r.topic).filter((topic) => !topic.startsWith('__debezium-heartbeat.')),
  );
  // Recordings may leave the side topics out; tables they may not.
  const compared = ours
    .map((record) => record.topic)
    .filter((topic) => recorded.has(topic) || !isSideTopic(topic));
  const topics = new Set([...recorded, ...compared]);
  for (const topic of topics) compareTopic(ofTopic(theirs, topic), ofTopic(ours, topic), note);
  return { records: theirs.length, unexpected, expected };
}

function isSideTopic(topic: string): boolean {
  return /^__debezium-heartbeat\.|^[^.]+(\.(transaction|message))?$/.test(topic);
}

/** before and after from the recording with NULLs, all else from the one with defaults. */
function merged(recording: Recording): readonly GoldenRecord[] {
  return recording.withDefaults.map((record, i) => {
    const withNulls = recording.withNulls[i];
    const payload = fieldOf(record.value, 'payload');
    if (withNulls === undefined || payload === null || fieldOf(record.value, 'schema') === null)
      return record;
    const rows = fieldOf(withNulls.value, 'payload');
    const change = { before: fieldOf(rows, 'before'), after: fieldOf(rows, 'after') };
    const rowsOf = 'before' in (payload as object) ? change : {};
    return {
      ...record,
      value: { ...(record.value as object), payload: { ...(payload as object), ...rowsOf } },
    };
  });
}

function ofTopic(records: readonly GoldenRecord[], topic: string): readonly GoldenRecord[] {
  // Debezium makes up statements for the tables that it finds at its start.
  const all = records.filter((record) => record.topic === topic && !isFoundTable(record));
  if (topic.endsWith('.transaction')) return withoutUnended(all);
  // The order of rows in a snapshot is nobody's promise.
  const snapshot = all.filter((record) => opOf(record) === 'r');
  const stream = all.filter((record) => opOf(record) !== 'r');
  snapshot.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  return [...snapshot, ...stream];
}

/** On MariaDB Debezium begins a transaction for a DDL and never ends it. */
function withoutUnended(records: readonly GoldenRecord[]): readonly GoldenRecord[] {
  const idOf = ({ key }: GoldenRecord): string =>
    textOf(fieldOf(fieldOf(key, 'payload'), 'id')).replace(/^(\d+):\d+$/, '$1');
  // PostgreSQL's ids have the place in the log behind them, which is another for BEGIN and END.
  const ended = new Set(
    records.filter(({ value }) => fieldOf(fieldOf(value, 'payload'), 'status') === 'END').map(idOf),
  );
  return records.filter((record) => ended.has(idOf(record)));
}

function isFoundTable({ value }: GoldenRecord): boolean {
  const payload = fieldOf(value, 'payload');
  const snapshot = fieldOf(fieldOf(payload, 'source'), 'snapshot');
  return fieldOf(payload, 'ddl') !== null && snapshot !== null && snapshot !== 'false';
}

function sortKey(record: GoldenRecord): string {
  const key = fieldOf(record.key, 'payload') ?? fieldOf(fieldOf(record.value, 'payload'), 'after');
  return JSON.stringify(key, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
}

function compareTopic(
  theirs: readonly GoldenRecord[],
  ours: readonly GoldenRecord[],
  note: (difference: Difference) => void,
): void {
  const topic = theirs[0]?.topic ?? ours[0]?.topic ?? '';
  for (let i = 0; i < Math.max(theirs.length, ours.length); i++) {
    const their = theirs[i];
    const our = ours[i];
    const record = {
      topic,
      index: i,
      op: (their ?? our) === undefined ? null : opOf((their ?? our)!),
      their: their ?? null,
      ours: our ?? null,
    };
    if (their === undefined || our === undefined) {
      note({ ...record, path: [], theirs: their?.value ?? undefined, mine: our?.value ?? undefined });
      continue;
    }
    const report = (path: readonly string[], a: Json | undefined, b: Json | undefined): void =>
      note({ ...record, path, theirs: a, mine: b });
    differences(comparable(their), comparable(our), [], report);
  }
}

/** What of a record is compared. */
function comparable(record: GoldenRecord): Json {
  const headers = Object.entries(record.headers).filter(([name]) => /^__debezium\.(new|old)key$/.test(name));
  return {
    key: withoutIds(record.key),
    value: withoutVolatile(record.value),
    headers: Object.fromEntries(
      headers.map(([name, value]) => [name, typeof value === 'string' ? (JSON.parse(value) as Json) : value]),
    ),
  };
}

function withoutIds(key: Json): Json {
  const payload = fieldOf(key, 'payload');
  return fieldOf(payload, 'id') !== null && isTransactionKey(key)
    ? { ...(key as object), payload: { id: '(id)' } }
    : key;
}

function isTransactionKey(key: Json): boolean {
  return fieldOf(fieldOf(key, 'schema'), 'name') === 'io.debezium.connector.common.TransactionMetadataKey';
}

function withoutVolatile(value: Json): Json {
  const payload = fieldOf(value, 'payload');
  if (typeof payload !== 'object' || payload === null) return value;
  const kept: Record<string, Json> = {};
  for (const [name, field] of Object.entries(payload as Readonly<Record<string, Json>>)) {
    if (/^ts_(ms|us|ns)$/.test(name))
      kept[name] = typeof field === 'number' || typeof field === 'bigint' ? '(time)' : field;
    else if (name === 'source') kept[name] = withoutPosition(field);
    else if (name === 'transaction' && field !== null) kept[name] = { ...(field as object), id: '(id)' };
    else if (name === 'id' && 'status' in payload) kept[name] = '(id)';
    else if (name === 'data_collections' && Array.isArray(field))
      kept[name] = sortedCollections(field as Json[]);
    else kept[name] = field;
  }
  return { ...(value as object), payload: kept };
}

/** Debezium's order is that of a hash map. Messages it counts under the address of a Java object: put last. */
function sortedCollections(collections: readonly Json[]): readonly Json[] {
  const name = (json: Json): string => {
    const text = textOf(fieldOf(json, 'data_collection'));
    return text.includes('LogicalDecodingMessageId@') ? 'logical_message' : text;
  };
  return collections.toSorted((a, b) => (name(a) < name(b) ? -1 : 1));
}

function withoutPosition(source: Json): Json {
  const fields = Object.entries(source as Readonly<Record<string, Json>>).map(
    ([name, field]): [string, Json] => {
      // Of a snapshot's row there is no GTID, no thread, and the server is 0.
      const isPlace = field !== null && field !== 0 && PLACES_OF_SOURCE.has(name);
      // A database of PostgreSQL has another name for each run.
      const isRandom = name === 'db' && fieldOf(source, 'connector') === 'postgresql';
      if (isPlace || isRandom || DROPPED_OF_SOURCE.has(name)) return [name, '(dropped)'];
      // Of a snapshot only that it is one; the marks of first and last follow the order of rows.
      if (name === 'snapshot') return [name, field === 'false' ? 'false' : '(snapshot)'];
      return [name, field];
    },
  );
  return Object.fromEntries(fields);
}

type Report = (path: readonly string[], theirs: Json | undefined, ours: Json | undefined) => void;

function differences(
  a: Json | undefined,
  b: Json | undefined,
  path: readonly string[],
  report: Report,
): void {
  if (a === b) return;
  // Java 17 writes more digits than a float needs.
  if (typeof a === 'number' && typeof b === 'number' && Math.fround(a) === Math.fround(b) && a % 1 !== 0)
    return;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (isFields(a) || isFields(b))
      return fieldDifferences(a as readonly Json[], b as readonly Json[], path, report);
    if (a.length !== b.length) return report(path, a as readonly Json[], b as readonly Json[]);
    a.forEach((item: Json, i) => differences(item, b[i] as Json, [...path, String(i)], report));
    return;
  }
  if (isObject(a) && isObject(b)) {
    const shared = Object.keys(a).filter((name) => name in b);
    const sharedOfB = Object.keys(b).filter((name) => name in a);
    if (shared.join('\n') !== sharedOfB.join('\n')) report([...path, '(order)'], shared, sharedOfB);
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      differences(a[name], b[name], [...path, name], report);
    }
    return;
  }
  report(path, a, b);
}

/** Fields of a struct's schema are compared by name. */
function fieldDifferences(
  a: readonly Json[],
  b: readonly Json[],
  path: readonly string[],
  report: Report,
): void {
  const byName = (fields: readonly Json[]): Record<string, Json> =>
    Object.fromEntries(fields.map((field) => [textOf(fieldOf(field, 'field')), field]));
  differences(byName(a), byName(b), path, report);
}

function isFields(list: readonly unknown[]): boolean {
  return (
    list.length > 0 && list.every((item) => isObject(item as Json) && fieldOf(item as Json, 'field') !== null)
  );
}

function isObject(json: Json | undefined): json is { readonly [key: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function textOf(json: Json): string {
  return typeof json === 'string' ? json : '';
}
