/** What the statements of a settings file are once they are compiled (compile-program.ts). */
import type { HeadwaterError } from '../../errors/headwater-error.ts';
import type { TableSchema } from '../../model/table.ts';
import type { CapturedSource } from '../sources/captured-source.ts';
import type { ShownColumns } from '../sources/captured-columns.ts';
import type { Catalog, OnError, StreamSource } from '../sources/catalog.ts';
import type { JoinPlan } from './join-plan.ts';
import type { OutputColumn } from './projection.ts';
import type { GroupPlan } from './group-plan.ts';
import type { GroupStore } from '../state/group-store.ts';
import type { InferredColumns } from './inferred-columns.ts';
import type { Replica, ReplicaJournal } from '../state/replica.ts';
import type { SelectScope } from './select-scope.ts';
import type { Select } from '../sql/ast.ts';
import type { Evaluate } from '../sql/frame.ts';
import type { TableStores } from '../state/table-store.ts';
import type { TopicTable } from '../topics/topic-table.ts';
import type { TableSelect } from './table-select.ts';

export interface QueryPlan {
  readonly id: string;
  readonly statement: string;
  /** As it was written, and what the names in it mean. */
  readonly select: Select;
  readonly scope: SelectScope;
  readonly input: StreamSource;
  readonly joins: readonly JoinPlan[];
  readonly where: Evaluate | null;
  readonly columns: readonly OutputColumn[];
  readonly target: StreamSource;
  readonly onError: OnError;
  /** Null without GROUP BY. */
  readonly group: GroupPlan | null;
  readonly store: GroupStore | null;
  /** Whether a delete is a row like others, since the query asks what kind of change it sees. */
  readonly usesChange: boolean;
  /** Whether its events come from a Kafka topic, at first hand or by way of other queries. */
  readonly ofTopic: boolean;
  /** The number of the client's statement; null for one of the settings. */
  readonly made: number | null;
  /** Whether it waits until it is resumed. */
  readonly held: boolean;
  /** Whether of a topic it takes only what comes after it was made. */
  readonly fromLatest: boolean;
  /** What the friendly dialect let pass. */
  readonly warnings: readonly string[];
}

/** A query over tables. */
export interface TableQueryPlan extends Pick<
  TableSelect,
  'from' | 'joins' | 'filtered' | 'rows' | 'columns' | 'keyOrder'
> {
  readonly id: string;
  readonly statement: string;
  readonly select: Select;
  readonly scope: SelectScope;
  /** As of a query over a stream. */
  readonly made: number | null;
  /** Hash of the statement and of those that make what it reads. */
  readonly lineage: string;
  readonly target: StreamSource;
  readonly onError: OnError;
  /** Null without GROUP BY. */
  readonly groups: { readonly plan: GroupPlan; readonly store: GroupStore } | null;
  readonly warnings: readonly string[];
}

export interface Program {
  /** Over streams. */
  readonly queries: readonly QueryPlan[];
  /** Each behind those that it reads. */
  readonly tables: readonly TableQueryPlan[];
  readonly replicas: readonly Replica[];
  /** Change streams of captured tables. */
  readonly streams: readonly CapturedSource[];
  /** Tables that topics hold. */
  readonly topicTables: readonly TopicTable[];
  readonly catalog: Catalog;
  /** Hashes of all statements but those that do not fit their tables any more. */
  readonly compiled: readonly string[];
  readonly paused: readonly PausedStatement[];
}

/** A statement that fitted its tables once, or whose results are refused; what depends on it is paused too. */
export interface PausedStatement {
  readonly hash: string;
  readonly statement: string;
  /** The stream or table that it makes. */
  readonly target: string | null;
  /** Of its query; null of a statement that starts none, or cannot be read. */
  readonly id: string | null;
  /** Null too where it makes a table, which begins anew. */
  readonly query: PausedQuery | null;
  readonly error: HeadwaterError;
}

/** What a query that is paused would be. */
export interface PausedQuery {
  /** The stream that it writes, and what it reads. */
  readonly target: { readonly name: string };
  readonly input: { readonly name: string };
  /** Number of the client's statement; null of the settings'. */
  readonly made: number | null;
  /** How many queries over topics stand before it. */
  readonly behind: number;
}

export interface ProgramContext {
  readonly pipeline: string;
  /** The captured table as it is now; null where it is not captured. */
  readonly describe: (name: string) => TableSchema | null;
  readonly shown: ShownColumns;
  readonly journal: ReplicaJournal;
  /** Where the rows of captured tables are. */
  readonly stores: Pick<TableStores, 'table' | 'refilled' | 'spend'>;
  /** Topics of the captured tables' own records. */
  readonly tableTopics: ReadonlySet<string>;
  /** Whether the settings name a schema registry. */
  readonly registry: boolean;
  /** Columns of topics that it has given. */
  readonly inferred: InferredColumns;
  /** Hashes of statements that have been compiled before: where they no longer can, it is the tables that changed. */
  readonly known: ReadonlySet<string>;
  /** Hashes of those whose queries wait. */
  readonly held: ReadonlySet<string>;
  /** Of a trial: the client's statements from that number on are new, and have to fit. Null: they did when they were made. */
  readonly trialFrom: number | null;
  /** Results that are refused, by name: their statements wait, and those that name them. */
  readonly refused?: ReadonlyMap<string, HeadwaterError>;
  /** Whether instances share the queries, partition by partition: then a topic that one writes may be read by another. */
  readonly shared?: boolean;
}
