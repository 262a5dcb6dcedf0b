/**
 * The keys of the durable state that travels with the records (see emitter/sink.ts `commit`). Values are JSON.
 * A change of this layout needs a decision record.
 *
 * | key | value |
 * | --- | --- |
 * | `position` | PositionRecord: where the log is resumed |
 * | `source` | text of Opened.identity: which log that position belongs to |
 * | `source-log` | `source` of the log that was read before polling took over, or is to be read in its place |
 * | `polled` | PolledRecord: rows that polling had delivered when the log took over (readers/polling/polled-before.ts) |
 * | `logged` | PolledRecord: keys of rows that the log had delivered, for polling that takes over (readers/polling/logged-keys.ts) |
 * | `snapshot` | SnapshotRecord: what the snapshot as a whole has done |
 * | `table/<schema>.<table>` | TableLedger: the snapshot of one table |
 * | `request/<schema>.<table>` | SnapshotRequest: a snapshot of that table that an operator asked for |
 * | `snapshot-paused` | `true` while snapshots are paused |
 * | `schema/<schema>.<table>` | the table's schema version as last used (schema/) |
 * | `enrich` | ImageReference: which file in state.dir holds the joined tables, and how much of it counts |
 * | `history/<schema>.<table>/<version>` | a version of the table's schema, and the position at which it begins |
 * | `followed/<schema>.<table>` | columns of a MySQL table that is not captured and may come to be, by RENAME |
 * | `registry/<subject>` | id and hash of the schema last written under a registry's subject (schema/registry/) |
 * | `paused/<schema>.<table>` | why the table's changes are left out (emitter/paused-tables.ts) |
 * | `topic/<schema>.<table>` | the topic the table goes on in after an incompatible change |
 * | `enrich-statements` | `{compiled, paused}`: hashes of the statements that fitted their tables once, and of those that no longer do |
 * | `enrich-made/<number>` | MadeStatement: one that a client has made (enrichment/made-statements.ts) |
 * | `enrich-made-next` | the number of the next one |
 * | `enrich-held` | hashes of the statements whose queries PAUSE holds |
 * | `log-time` | `{v, us, tx}`: the position that was told last in headers (emitter/positions.ts) |
 * | `poll/<schema>.<table>` | TableCursor: how far the table has been polled (readers/polling/cursor.ts) |
 * | `enrich-table/<table>`, `enrich-group/<table>/<group>` | aggregates (enrichment/state/group-store.ts); the latter are a sink's bulk |
 *
 * Queries over topics have a state of their own beside it (enrichment/topic-queries.ts).
 */
import type { JsonValue } from '../model/position.ts';

export const POSITION_KEY = 'position';
export const SOURCE_KEY = 'source';
export const LOG_SOURCE_KEY = 'source-log';
export const POLLED_KEY = 'polled';
export const LOGGED_KEY = 'logged';
export const SNAPSHOT_KEY = 'snapshot';
export const TABLE_PREFIX = 'table/';
export const REQUEST_PREFIX = 'request/';
export const SNAPSHOT_PAUSED_KEY = 'snapshot-paused';
export const SCHEMA_PREFIX = 'schema/';
export const ENRICH_KEY = 'enrich';
export const ENRICH_STATEMENTS_KEY = 'enrich-statements';
/** Columns of topics that the registry has given (enrichment/inferred-columns.ts). */
export const ENRICH_COLUMNS_KEY = 'enrich-columns';
export const ENRICH_MADE_PREFIX = 'enrich-made/';
export const ENRICH_NEXT_KEY = 'enrich-made-next';
export const ENRICH_HELD_KEY = 'enrich-held';
export const HISTORY_PREFIX = 'history/';
export const FOLLOWED_PREFIX = 'followed/';
export const REGISTRY_PREFIX = 'registry/';
export const PAUSED_PREFIX = 'paused/';
export const LOG_TIME_KEY = 'log-time';
export const POLL_PREFIX = 'poll/';
export const TOPIC_PREFIX = 'topic/';

export interface PositionRecord {
  readonly v: 1;
  /** Grows by one with every start of the pipeline: local state carries it too. */
  readonly epoch: number;
  readonly position: JsonValue;
  /** Commit time of the last delivered transaction, microseconds since the epoch; for people. */
  readonly commitTimeUs: number | null;
}
