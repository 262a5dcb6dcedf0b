/**
 * Polling's `source` block. Debezium has none; the fields that all of its sources have are as there. `ts_ms` is when
 * the row was read, since nobody knows when it was committed.
 */
import type { SnapshotMarker } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import { OPTIONAL_INT64, STRING, struct } from '../../schema/connect-schema.ts';
import {
  type BlockValue,
  COMMON_FIELDS,
  FORMAT_VERSION,
  type SourceBlock,
} from '../../schema/source-block.ts';
import type { PollSource } from './source-info.ts';

const SCHEMA = struct({ name: 'headwater.polling.Source', version: 1 }, [
  ...COMMON_FIELDS,
  ['schema', STRING],
  ['table', STRING],
  ['batch', OPTIONAL_INT64],
]);

/** `name` is the pipeline's; `database` the one in source.url, null where it names none: then the table's. */
export function pollSourceBlock(name: string, database: string | null): SourceBlock<PollSource> {
  const valuesOf = (
    table: TableId | null,
    { readUs, batch }: PollSource,
    snapshot: SnapshotMarker | null,
  ): readonly BlockValue[] => [
    FORMAT_VERSION,
    'polling',
    name,
    Math.floor(readUs / 1000),
    snapshot ?? 'false',
    database ?? table?.schema ?? '',
    null,
    readUs,
    BigInt(readUs) * 1000n,
    table?.schema ?? '',
    table?.table ?? '',
    snapshot === null ? batch : null,
  ];
  return {
    schema: SCHEMA,
    forTable: (table) => oncePerBlock((at, snapshot) => jsonOf(valuesOf(table, at, snapshot))),
    valuesForTable: (table) => oncePerBlock((at, snapshot) => valuesOf(table, at, snapshot)),
    transactionId: ({ batch }) => String(batch),
    commitTimeMs: ({ readUs }) => Math.floor(readUs / 1000),
  };
}

/** Rows of one read share their origin. */
function oncePerBlock<T>(
  make: (at: PollSource, snapshot: SnapshotMarker | null) => T,
): (at: PollSource, snapshot: SnapshotMarker | null) => T {
  let last: { readonly at: PollSource; readonly snapshot: SnapshotMarker | null; readonly made: T } | null =
    null;
  return (at, snapshot) => {
    if (last === null || last.at !== at || last.snapshot !== snapshot) {
      last = { at, snapshot, made: make(at, snapshot) };
    }
    return last.made;
  };
}

function jsonOf(values: readonly BlockValue[]): string {
  const fields = (SCHEMA.fields ?? []).map(({ field }, i) => {
    const value = values[i]!;
    return `${JSON.stringify(field)}:${typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`;
  });
  return `{${fields.join(',')}}`;
}
