/**
 * Every metric of a pipeline: its name, what it is, and how it follows from the pipeline's status. Where Debezium
 * has an attribute (JMX) the name is that attribute's in snake case, so that dashboards carry over.
 * docs/metrics.md lists this table (`npm run docs`).
 */
import type { PipelineState, PipelineStatus } from './status.ts';

export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Debezium's attribute of the same meaning. */
  readonly debezium?: string;
  /** Further labels beside `pipeline` and `connector`. */
  readonly labels?: readonly string[];
  /** One entry for each combination of further labels; null: not known, no sample. */
  readonly samples: (status: PipelineStatus, now: number) => readonly Sample[] | number | boolean | null;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Total, so that a new state cannot be left out. */
const EVERY_STATE: Readonly<Record<PipelineState, true>> = {
  starting: true,
  standby: true,
  snapshotting: true,
  streaming: true,
  'backing-off': true,
  paused: true,
  stopping: true,
  stopped: true,
  failed: true,
};
const STATES = Object.keys(EVERY_STATE);

const gauge = (name: string, help: string, samples: Metric['samples'], debezium?: string): Metric =>
  debezium === undefined
    ? { name, type: 'gauge', help, samples }
    : { name, type: 'gauge', help, samples, debezium };

const counter = (name: string, help: string, samples: Metric['samples'], debezium?: string): Metric => ({
  ...gauge(name, help, samples, debezium),
  type: 'counter',
});

const byTable = (
  status: PipelineStatus,
  value: (table: PipelineStatus['tables'][number]) => number,
): readonly Sample[] =>
  status.tables.map((table) => ({ labels: { table: table.table }, value: value(table) }));

export const METRICS: readonly Metric[] = [
  gauge(
    'headwater_connected',
    '1 while a snapshot is read or the log is streamed.',
    ({ state }) => state === 'streaming' || state === 'snapshotting',
    'Connected',
  ),
  gauge(
    'headwater_milliseconds_behind_source',
    'Wall clock minus commit time of the last delivered transaction; 0 when caught up, -1 when unknown.',
    ({ lagMs }) => lagMs ?? -1,
    'MilliSecondsBehindSource',
  ),
  gauge(
    'headwater_milliseconds_since_last_event',
    'Since the last delivery; -1 before the first.',
    ({ lastDeliveryAt }, now) =>
      lastDeliveryAt === null ? -1 : Math.max(0, now - Date.parse(lastDeliveryAt)),
    'MilliSecondsSinceLastEvent',
  ),
  counter(
    'headwater_total_number_of_events_seen',
    'Changes and snapshot rows read since the process started.',
    ({ counters }) =>
      counters.creates +
      counters.updates +
      counters.deletes +
      counters.reads +
      counters.truncates +
      counters.messages,
    'TotalNumberOfEventsSeen',
  ),
  counter(
    'headwater_number_of_events_filtered',
    'Changes that by the settings made no record.',
    ({ counters }) => counters.filtered,
    'NumberOfEventsFiltered',
  ),
  counter(
    'headwater_total_number_of_create_events_seen',
    'Inserts.',
    ({ counters }) => counters.creates,
    'TotalNumberOfCreateEventsSeen',
  ),
  counter(
    'headwater_total_number_of_update_events_seen',
    'Updates.',
    ({ counters }) => counters.updates,
    'TotalNumberOfUpdateEventsSeen',
  ),
  counter(
    'headwater_total_number_of_delete_events_seen',
    'Deletes.',
    ({ counters }) => counters.deletes,
    'TotalNumberOfDeleteEventsSeen',
  ),
  counter(
    'headwater_number_of_committed_transactions',
    'Source transactions.',
    ({ counters }) => counters.transactions,
    'NumberOfCommittedTransactions',
  ),
  counter(
    'headwater_number_of_disconnects',
    'Attempts that ended in an error.',
    ({ counters }) => counters.disconnects,
    'NumberOfDisconnects',
  ),
  counter(
    'headwater_number_of_erroneous_events',
    'Changes that went to the dead-letter topic, of all tables.',
    ({ tables }) => tables.reduce((sum, { deadLetters }) => sum + deadLetters, 0),
    'NumberOfErroneousEvents',
  ),
  gauge(
    'headwater_captured_tables',
    'Tables that the settings match.',
    ({ tables }) => tables.length,
    'CapturedTables',
  ),
  gauge(
    'headwater_total_table_count',
    'Tables of the snapshot.',
    ({ snapshot }) => snapshot?.tablesTotal ?? null,
    'TotalTableCount',
  ),
  gauge(
    'headwater_remaining_table_count',
    'Tables of the snapshot not yet read to the end.',
    ({ snapshot }) => (snapshot === null ? null : snapshot.tablesTotal - snapshot.tablesDone),
    'RemainingTableCount',
  ),
  gauge(
    'headwater_snapshot_running',
    '1 while a snapshot is read.',
    ({ snapshot }) => snapshot?.running ?? false,
    'SnapshotRunning',
  ),
  gauge(
    'headwater_snapshot_paused',
    '1 while an operator holds the snapshot.',
    ({ snapshot }) => snapshot?.paused ?? false,
    'SnapshotPaused',
  ),
  gauge(
    'headwater_snapshot_completed',
    '1 when the snapshot is complete.',
    ({ snapshot }) => snapshot !== null && snapshot.completedAt !== null,
    'SnapshotCompleted',
  ),
  gauge(
    'headwater_snapshot_duration_in_seconds',
    'From the beginning of the snapshot to its end, or until now.',
    ({ snapshot }, now) =>
      snapshot === null
        ? null
        : Math.max(
            0,
            Math.round(
              ((snapshot.completedAt === null ? now : Date.parse(snapshot.completedAt)) -
                Date.parse(snapshot.startedAt)) /
                1000,
            ),
          ),
    'SnapshotDurationInSeconds',
  ),
  {
    ...counter(
      'headwater_rows_scanned',
      'Rows the snapshot has read of a table.',
      (status) => byTable(status, (table) => table.rowsSnapshotted),
      'RowsScanned',
    ),
    labels: ['table'],
  },
  gauge('headwater_snapshot_rows_per_second', 'Speed of the snapshot.', ({ snapshot }) =>
    snapshot === null ? null : snapshot.rowsPerSecond,
  ),
  gauge(
    'headwater_snapshot_remaining_milliseconds',
    'Estimated time the snapshot still takes.',
    ({ snapshot }) => (snapshot === null ? null : snapshot.remainingMs),
  ),
  {
    ...gauge('headwater_state', '1 for the state the pipeline is in, 0 for the others.', ({ state }) =>
      STATES.map((each) => ({ labels: { state: each }, value: each === state ? 1 : 0 })),
    ),
    labels: ['state'],
  },
  gauge('headwater_ready', '1 when the pipeline is ready as /readyz means it.', (status) => isReady(status)),
  gauge(
    'headwater_progressing',
    '0 when the source has been advancing for a minute and nothing was delivered.',
    ({ progressing }) => progressing,
  ),
  gauge(
    'headwater_polling',
    '1 where changes are found by polling, 0 where they are read from the log.',
    ({ capture }) => (capture === null ? null : capture.mode === 'poll'),
  ),
  gauge('headwater_caught_up', '1 when all of the log has been delivered.', ({ caughtUp }) => caughtUp),
  gauge(
    'headwater_retained_bytes',
    'Bytes of log the source keeps because of this pipeline.',
    ({ retainedBytes }) => retainedBytes,
  ),
  gauge(
    'headwater_retained_budget_bytes',
    'source.postgres.wal_budget.',
    ({ retainedBudgetBytes }) => retainedBudgetBytes,
  ),
  gauge(
    'headwater_headroom_hours',
    'Hours until the source may delete log that was not delivered (MySQL and MariaDB).',
    ({ headroomMs }) => (headroomMs === null ? null : headroomMs / 3_600_000),
  ),
  gauge(
    'headwater_events_per_second',
    'Records a second over the last ten.',
    (status) => status.eventsPerSecond,
  ),
  counter('headwater_records_total', 'Records delivered.', ({ counters }) => counters.records),
  counter(
    'headwater_record_bytes_total',
    'Bytes of records delivered.',
    ({ counters }) => counters.recordBytes,
  ),
  counter(
    'headwater_source_bytes_total',
    'Bytes read from the source.',
    ({ counters }) => counters.sourceBytes,
  ),
  counter(
    'headwater_commits_total',
    'Durable commits of records and position.',
    ({ counters }) => counters.commits,
  ),
  counter('headwater_truncates_total', 'TRUNCATEs.', ({ counters }) => counters.truncates),
  counter('headwater_messages_total', 'Logical messages.', ({ counters }) => counters.messages),
  gauge(
    'headwater_warnings',
    'Warnings that stand in the status: what is not as the settings ask for.',
    ({ warnings }) => warnings.length,
  ),
  counter('headwater_attempts_total', 'Attempts, the first included.', ({ attempts }) => attempts),
  {
    ...counter('headwater_table_events_total', 'Records of a table.', (status) =>
      byTable(status, (table) => table.events),
    ),
    labels: ['table'],
  },
  {
    ...gauge(
      'headwater_table_quarantined',
      '1 where the snapshot of a table was given up, its schema refused, or the table is paused or locked.',
      (status) => byTable(status, (table) => (table.state === 'quarantined' ? 1 : 0)),
    ),
    labels: ['table'],
  },
  {
    ...counter(
      'headwater_table_dead_letters_total',
      'Changes of a table that went to the dead-letter topic.',
      (status) => byTable(status, (table) => table.deadLetters),
    ),
    labels: ['table'],
  },
  {
    ...counter(
      'headwater_query_records_total',
      'Results of a statement, since the attempt began.',
      (status) => status.queries.map(({ id, records }) => ({ labels: { query: id }, value: records })),
    ),
    labels: ['query'],
  },
  {
    ...counter(
      'headwater_query_problems_total',
      'What failed for the rows of a statement, and records that were left out, since the attempt began.',
      (status) =>
        status.queries.flatMap(({ id, problemsByKind }) =>
          Object.entries(problemsByKind).map(([problem, value]) => ({
            labels: { query: id, problem },
            value,
          })),
        ),
    ),
    labels: ['query', 'problem'],
  },
];

/** Works, or stands by; and what the source writes is delivered. What `/readyz` says. */
export function isReady({ state, progressing }: PipelineStatus): boolean {
  return progressing && (state === 'streaming' || state === 'snapshotting' || state === 'standby');
}
