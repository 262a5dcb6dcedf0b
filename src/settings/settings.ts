/**
 * One settings file after validation, with every default filled in. Sizes are bytes, durations milliseconds,
 * PEM files have been read, relative paths are relative to the settings file and absolute here.
 */
import type { Secret } from './secret.ts';

export interface Settings {
  /** The file as it was named on the command line: for messages. */
  readonly file: string;
  /** The same for two files that say the same, secrets included. */
  readonly fingerprint: string;
  /** Topic prefix, part of slot, group and transactional id, and the label of the metrics. */
  readonly name: string;
  readonly source: SourceSettings;
  readonly snapshot: SnapshotSettings;
  readonly emit: EmitSettings;
  /** `schema.table` → what differs for that table. */
  readonly tables: ReadonlyMap<string, TableSettings>;
  readonly outbox: OutboxSettings | null;
  /** Null where there are no statements. */
  readonly enrich: EnrichSettings | null;
  readonly http: HttpSettings;
  /** Directory for local state (joined tables, the checkpoint of the stdout sink). */
  readonly stateDir: string;
  readonly joinedTables: JoinedTablesSettings;
  /** From the first signal to stop until everything is dropped. */
  readonly shutdownTimeoutMs: number;
}

export interface JoinedTablesSettings {
  /** Bytes they may take in memory. */
  readonly memoryLimit: number;
  /** On disk from the beginning. */
  readonly durable: boolean;
}

export interface EnrichSettings {
  /** Files that have been read, and statements from the settings themselves. */
  readonly texts: readonly {
    /** What errors begin with: the file's name or the setting's. */
    readonly name: string;
    readonly text: string;
  }[];
  readonly dialect: 'friendly' | 'ksqldb';
  /** Queries over topics alone are shared by all instances. */
  readonly shared: boolean;
  readonly join: JoinSettings;
}

/** Of events of topics with the tables they are joined with. */
export interface JoinSettings {
  readonly skewMs: number;
  /** Infinity: for as long as it takes. */
  readonly maxWaitMs: number;
}

export interface SourceSettings {
  readonly connector: 'postgresql' | 'mysql' | 'mariadb' | 'oracle';
  /** Tried in order. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Empty where source.url names none (MySQL and MariaDB). On Oracle the service. */
  readonly database: string;
  readonly user: string;
  readonly password: Secret | null;
  /** `auto`: the log where it can be read, else `poll`. */
  readonly mode: 'auto' | 'log' | 'poll';
  /** Globs of `schema.table` (of `database.table` on MySQL and MariaDB); `!pattern` excludes; `/regex/` is a regular expression. At least one includes. */
  readonly tables: readonly string[];
  readonly tls: TlsSettings;
  readonly connectTimeoutMs: number;
  readonly postgres: PostgresSettings;
  readonly mysql: MysqlSettings;
  readonly oracle: OracleSettings;
  readonly poll: PollSettings;
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
}

export interface PollSettings {
  /** Whether the file has the block: without it `auto` never polls. */
  readonly configured: boolean;
  /** Whether the log takes its place when it can be read (`auto`). */
  readonly preferLog: boolean;
  readonly everyMs: number;
  readonly overlapMs: number;
  readonly batchRows: number;
  /** Of columns without one; null: not known. */
  readonly timeZone: string | null;
  readonly rememberLimitBytes: number;
  /** By `schema.table`; others are read whole. */
  readonly tables: ReadonlyMap<string, PolledTable>;
}

export interface PolledTable {
  readonly mode: 'bulk' | 'incrementing' | 'timestamp' | 'timestamp+incrementing';
  readonly timestamp: readonly string[];
  readonly incrementing: string | null;
  readonly query: string | null;
  readonly key: readonly string[] | null;
  readonly everyMs: number;
  /** Between two comparisons of the keys; null: never. */
  readonly sweepMs: number | null;
  readonly remember: 'overlap' | 'keys' | 'rows';
}

export interface TlsSettings {
  /** As libpq's sslmode, for Kafka too: `require` encrypts without checking who answers. */
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM texts; without `ca` the roots Node knows are trusted. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: Secret | null;
}

export interface PostgresSettings {
  readonly slot: string;
  readonly publication: string;
  /** Create the slot so that it survives a failover (PostgreSQL 17 and later). */
  readonly failover: boolean;
  /** Retained WAL above this is an alarm; null: no alarm. */
  readonly walBudgetBytes: number | null;
}

/** MariaDB too. */
export interface MysqlSettings {
  /** As a replica has it. */
  readonly serverId: number;
  /** The statement goes into the source block, where the server logs it. */
  readonly includeQuery: boolean;
  /** What a record holds for a date that no calendar has. */
  readonly zeroDates: 'null' | 'epoch' | 'string';
  /** What a record holds for an unsigned bigint past 2^63-1. */
  readonly unsignedOverflow: 'quarantine' | 'string' | 'wrap';
}

export interface OracleSettings {
  /** The pluggable database; null outside of multitenant databases. */
  readonly pdb: string | null;
  readonly strategy: 'hybrid' | 'online_catalog' | 'redo_log_catalog';
  /** Null: on a standby. */
  readonly archiveOnly: boolean | null;
  /** DEST_NAMEs in order of preference; empty: those that are local and valid. */
  readonly archiveDestinations: readonly string[];
  /** Follow writes into LOBs, XML and long strings. */
  readonly lobs: boolean;
  /** Ask the table for values of large columns that the log does not have. */
  readonly lobReselect: boolean;
  /** Changes by these users are left out; names as Oracle has them. */
  readonly excludeUsers: readonly string[];
  readonly onUnreadable: 'fail' | 'dead-letter';
  /** What a changed row has in a column that the log leaves out. */
  readonly absentColumns: 'unavailable' | 'as-null' | 'fail';
  readonly requireAllColumns: boolean;
  /** Written to, so that idle instances flush their log; null: nothing is. */
  readonly flushTable: string | null;
  /** Addresses of RAC instances, for the flush table. */
  readonly racNodes: readonly string[];
  readonly queryTimeoutMs: number;
  /** SCNs mined at once at most. */
  readonly maxWindow: number;
  readonly sessionMaxMs: number;
  /** After that on a new connection. */
  readonly sessionReconnect: boolean;
  /** Open transactions in memory; what is more goes to disk. */
  readonly bufferBytes: number;
}

export interface SnapshotSettings {
  readonly mode: 'initial' | 'initial_only' | 'no_data' | 'when_needed' | 'always';
  readonly parallelism: number;
  readonly chunkRows: number;
  /** `schema.table` → SQL condition. */
  readonly where: ReadonlyMap<string, string>;
  /** Phase A ends when the source keeps more log than this; null: no limit. */
  readonly walLimitBytes: number | null;
}

export interface EmitSettings {
  readonly sink: KafkaSettings | FileSettings | StdoutSettings;
  readonly format: 'json' | 'json-with-schema' | 'avro' | 'protobuf' | 'json-schema';
  /** Null with the formats that need none. */
  readonly registry: RegistrySettings | null;
  /** Template with {name}, {schema} and {table}. */
  readonly topic: string;
  readonly delivery: 'exactly-once' | 'at-least-once';
  readonly profile: 'debezium' | 'safe';
  /** The first that matches a table's topic sends its records elsewhere. */
  readonly routes: readonly RouteSettings[];
  readonly envelope: 'full' | 'unwrapped';
  readonly unwrapped: UnwrappedSettings;
  /** Operations that make no record. */
  readonly skipOperations: readonly Operation[];
  /** An update that changes none of the columns that are shown makes no record. */
  readonly skipUnchanged: boolean;
  /** Of every record of a table: name → text. */
  readonly headers: ReadonlyMap<string, string>;
  /** Of masks by hash; null: plain SHA-256. */
  readonly hashKey: Secret | null;
  readonly tombstones: boolean;
  readonly transactionMetadata: boolean;
  /** Records of tables tell their place in the log. */
  readonly positionHeader: boolean;
  /** Changes of tables become records, from sources that have them in their log. */
  readonly schemaChanges: boolean;
  /** Logical messages (pg_logical_emit_message) become records. */
  readonly messages: boolean;
  /** TRUNCATE becomes a record; off, as in Debezium, where it is in skipped.operations. */
  readonly truncates: boolean;
  readonly heartbeatMs: number | null;
  readonly maxTransactionRows: number;
  readonly maxTransactionMs: number;
}

export type Operation = 'c' | 'u' | 'd' | 'r';

export interface RouteSettings {
  /** Matches the whole name of a topic. */
  readonly match: RegExp;
  /** With `$1` and the like. */
  readonly topic: string;
  /** Added to the key; the value null is the name of the topic without the route. */
  readonly keyField: { readonly name: string; readonly value: string | null } | null;
}

export interface UnwrappedSettings {
  readonly deletes: 'tombstone' | 'drop' | 'rewrite';
  /** Names such as `op` and `source.ts_ms`. */
  readonly fields: readonly string[];
  readonly headers: readonly string[];
}

export interface RegistrySettings {
  /** With any base path; tried in order. */
  readonly urls: readonly string[];
  readonly auth:
    | { readonly kind: 'none' }
    | { readonly kind: 'basic'; readonly username: string; readonly password: Secret }
    /** A fresh token for each request: `token_file` is read every time. */
    | { readonly kind: 'bearer'; readonly token: () => Promise<string> };
  readonly tls: TlsSettings;
  readonly subject: 'topic' | 'record' | 'topic-record';
  readonly register: 'auto' | 'latest';
  /** Null: the registry's own level. */
  readonly compatibility:
    | 'NONE'
    | 'BACKWARD'
    | 'BACKWARD_TRANSITIVE'
    | 'FORWARD'
    | 'FORWARD_TRANSITIVE'
    | 'FULL'
    | 'FULL_TRANSITIVE'
    | null;
  readonly onIncompatible: 'pause_table' | 'new_topic' | 'set_none' | 'fail';
  readonly names: 'none' | 'avro' | 'avro_unicode';
  readonly references: boolean;
  readonly timeoutMs: number;
}

export interface KafkaSettings {
  readonly kind: 'kafka';
  readonly brokers: readonly string[];
  readonly tls: TlsSettings;
  readonly sasl: SaslSettings | null;
  readonly producer: {
    readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
    readonly batchBytes: number;
    readonly maxPendingBytes: number;
    readonly deliveryTimeoutMs: number;
    readonly transactionTimeoutMs: number;
  };
  readonly topics: {
    readonly create: boolean;
    readonly partitions: number;
    /** Null: 3, or as many as there are brokers. */
    readonly replicationFactor: number | null;
    readonly config: Readonly<Record<string, string>>;
  };
  readonly oversize: 'fail' | 'dead-letter';
  readonly deadLetterTopic: string;
  /** How long a silent instance keeps the lease. */
  readonly sessionTimeoutMs: number;
}

export type SaslSettings =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
      readonly username: string;
      readonly password: Secret;
    }
  | {
      readonly mechanism: 'OAUTHBEARER';
      /** A fresh token for each login: `token_file` is read every time, `token` is always the same. */
      readonly token: () => Promise<string>;
    };

export interface FileSettings {
  readonly kind: 'file';
  /** Absolute directory. */
  readonly path: string;
  /** A segment is closed at this size; null: never. */
  readonly rotateBytes: number | null;
  /** A segment is closed at this age; null: never. */
  readonly rotateMs: number | null;
}

export interface StdoutSettings {
  readonly kind: 'stdout';
}

export interface TableSettings {
  /** Columns of the record's key instead of the table's own; null: the table's own. */
  readonly key: readonly string[] | null;
  /** Whole topic name instead of the template's; null: the template's. */
  readonly topic: string | null;
  /** Null: all columns as they are. */
  readonly columns: ColumnSettings | null;
  /** Header → column. */
  readonly headers: ReadonlyMap<string, string>;
  /** SQL condition; null: all rows. */
  readonly filter: string | null;
}

/** By the names that columns have in the database. */
export interface ColumnSettings {
  /** Null: all but the excluded. */
  readonly include: readonly string[] | null;
  readonly exclude: readonly string[];
  /** A number is that many asterisks. */
  readonly mask: ReadonlyMap<string, 'hash' | 'null' | number>;
  /** Characters, or bytes, that are kept. */
  readonly truncate: ReadonlyMap<string, number>;
  readonly rename: ReadonlyMap<string, string>;
}

/** Names of columns where nothing else is said. */
export interface OutboxSettings {
  /** `schema.table` */
  readonly table: string;
  /** With `{route}`. */
  readonly topic: string;
  readonly routeBy: string;
  readonly id: string;
  readonly key: string;
  readonly payload: string;
  readonly timestamp: string | null;
  /** Header → column. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface HttpSettings extends ListenSettings {
  readonly token: Secret | null;
  /** Of the SQL interface; the default counts where a file has statements. */
  readonly sql: ListenSettings;
  /** Who may send it statements that change something. */
  readonly sqlChanges: 'token' | 'open';
}

export interface ListenSettings {
  /** Null: nobody listens. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Whether it stands in the file: a default address that is taken is only a warning. */
  readonly explicit: boolean;
}
