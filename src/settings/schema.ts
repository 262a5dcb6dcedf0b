/**
 * The settings file as it is written: what zod checks, editors complete (config/headwater.schema.json) and
 * docs/settings.md lists. A key stands here only if this version does something with it.
 */
import * as z from 'zod';
import { block, duration, flag, list, matching, oneOf, secret, size, text, whole } from './leaves.ts';
import { POLL } from './poll-schema.ts';
import { registry } from './registry-schema.ts';
import { parseSourceUrl } from './source-url.ts';
import { tls } from './tls-schema.ts';
import { EMIT_TRANSFORMS, OUTBOX, TABLE_NAME, TABLE_TRANSFORMS } from './transform-schema.ts';

const source = block({
  url: secret('a URL such as postgres://user@host:5432/database')
    .superRefine((url, context) => {
      const parsed = parseSourceUrl(url);
      if (typeof parsed === 'string') context.addIssue({ code: 'custom', message: parsed });
    })
    .describe(
      'postgres://user@host:port/database, mysql:// or mariadb://user@host:port, or oracle://user@host:port/service. Several hosts, separated by commas, are tried in order; `sslmode`, `connect_timeout` and `host` are understood.',
    ),
  password: secret().optional().describe('The password, best as ${file:…} or ${env:…}.'),
  mode: oneOf(['auto', 'log', 'poll'])
    .default('auto')
    .describe(
      'How changes are found. log: in the log (PostgreSQL’s write-ahead log, MySQL’s and MariaDB’s binary log, Oracle’s redo log). poll: by asking the tables again and again (docs/polling.md). auto: the log where it can be read, else polling, where source.poll says how; decided at each start, and again when privileges appear.',
    ),
  tables: list(
    text('a pattern such as public.orders'),
    'a list of patterns such as [public.orders, sales.*]',
  ).describe(
    'What to capture: globs of schema.table (database.table on MySQL and MariaDB); "!pattern" excludes; /regex/ is a regular expression.',
  ),
  tls: tls.optional().describe('Encryption of the database connection. Without this block there is none.'),
  connect_timeout: duration(100).default('10s').describe('How long one attempt to connect may take.'),
  postgres: block({
    slot: matching(/^[a-z0-9_]{1,63}$/, 'lower-case letters, digits and underscores, at most 63')
      .optional()
      .describe('Replication slot; headwater_<name> unless said otherwise.'),
    // Headwater appends a suffix for the publication of tables without a usable replica identity.
    publication: matching(/^[a-z_][a-z0-9_]{0,49}$/, 'lower-case letters, digits and underscores, at most 50')
      .optional()
      .describe('Publication, made and kept by Headwater; headwater_<name> unless said otherwise.'),
    failover: flag()
      .default(true)
      .describe('Create the slot so that it survives a failover (PostgreSQL 17 and later).'),
    wal_budget: size().optional().describe('Retained WAL above this raises an alarm.'),
    on_wal_budget: oneOf(['alert'])
      .default('alert')
      .describe('alert: said in the log, in /status and as a metric.'),
  })
    .prefault({})
    .describe('What only PostgreSQL has.'),
  mysql: block({
    server_id: whole(1, 4_294_967_295)
      .optional()
      .describe(
        'Server id under which the log is read, as a replica has one: no other may have it. Derived from the name unless said otherwise.',
      ),
    include_query: flag()
      .default(false)
      .describe('The statement in source.query, where the server logs it (binlog_rows_query_log_events).'),
    // YAML's null is what people write.
    zero_dates: z
      .union([z.enum(['null', 'epoch', 'string']), z.null()], { error: 'must be null, epoch or string' })
      .default('null')
      .describe(
        'For dates such as 0000-00-00: null (the epoch where the column is NOT NULL), epoch for all, or string where the form of dates is text.',
      ),
    unsigned_overflow: oneOf(['quarantine', 'string', 'wrap'])
      .default('quarantine')
      .describe(
        'For BIGINT UNSIGNED past 9223372036854775807: the row goes to the dead-letter topic, the column is text, or the number turns negative as with Debezium.',
      ),
  })
    .prefault({})
    .describe('What only MySQL and MariaDB have.'),
  oracle: block({
    pdb: matching(/^[A-Za-z][A-Za-z0-9_$#]{0,29}$/, 'the name of a pluggable database')
      .optional()
      .describe('Pluggable database of the tables; the URL then names a service of CDB$ROOT.'),
    strategy: oneOf(['hybrid', 'online_catalog', 'redo_log_catalog'])
      .default('hybrid')
      .describe(
        'For rows from before a DDL, which LogMiner cannot name: hybrid rebuilds them, online_catalog stops. redo_log_catalog writes the dictionary into the redo log after each log switch, which is heavy.',
      ),
    archive_only: flag()
      .optional()
      .describe(
        'Read archived logs alone. On a standby that is open read-only that is so unless said otherwise.',
      ),
    archive_destinations: list(text('a name such as LOG_ARCHIVE_DEST_1'), 'a list of destinations')
      .optional()
      .describe('Where archived logs are read, in this order; all local destinations unless said otherwise.'),
    lobs: flag()
      .default(false)
      .describe('Follow writes into LOBs, XML and strings past 4,000 bytes; costs the database more.'),
    lob_reselect: flag()
      .default(false)
      .describe(
        'Ask the table, as of the commit, for LOBs, XML, JSON and long strings that the log does not have: a query for each such change.',
      ),
    exclude_users: list(text('the name of a database user'), 'a list of database users')
      .optional()
      .describe('Changes that these users make are left out.'),
    on_unreadable: oneOf(['fail', 'dead-letter'])
      .default('fail')
      .describe('For a change that cannot be read: stop, or write it to the dead-letter topic and go on.'),
    absent_columns: oneOf(['unavailable', 'as-null', 'fail'])
      .default('unavailable')
      .describe(
        'For columns of a changed row that the log does not have, since supplemental logging leaves them out: marked as unavailable; null where the column may be, as with Debezium; or the change cannot be read (on_unreadable).',
      ),
    require_all_columns: flag()
      .default(false)
      .describe('Refuse tables without ALL COLUMNS supplemental logging.'),
    flush_table: matching(/^[A-Za-z][A-Za-z0-9_$#]{0,29}$/, 'the name of a table')
      .optional()
      .describe(
        'Table of the user’s own that is written to so that idle instances flush their log; nothing is written without it.',
      ),
    rac_nodes: list(text('host:port or host:port/service'), 'a list of addresses')
      .optional()
      .describe('Instances of a cluster, each of which has to be made to flush.'),
    query_timeout: duration(1_000).default('10m').describe('How long one call to the server may be silent.'),
    max_window: whole(1_000, 1_000_000_000)
      .default(1_000_000)
      .describe('SCNs that are mined at once, at most.'),
    session_time: duration(60_000)
      .default('30m')
      .describe('After this a LogMiner session is begun anew, since its memory at the server grows.'),
    session_reconnect: flag()
      .default(false)
      .describe('Begin it on a new connection, where that alone gives the memory back.'),
    buffer: size(1024 * 1024)
      .default('256MiB')
      .describe('Open transactions in memory; what is more goes to state.dir.'),
  })
    .prefault({})
    .describe('What only Oracle has.'),
  poll: POLL.optional().describe(
    'Polling, where the log cannot be read. Tables without an entry are read whole (bulk).',
  ),
  on_gap: oneOf(['resnapshot', 'fail', 'skip_with_marker'])
    .default('resnapshot')
    .describe(
      'When the log no longer reaches back to the checkpoint: read all tables again, stop, or go on without what is missing.',
    ),
});

const snapshot = block({
  mode: oneOf(['initial', 'initial_only', 'no_data', 'when_needed', 'always'], {
    never: 'Debezium’s never is no_data',
    schema_only: 'Debezium’s schema_only is no_data',
    schema_only_recovery: 'there is no schema history to recover; write no_data',
    recovery: 'PostgreSQL needs no recovery; write no_data',
    custom: 'use snapshot.where to choose rows',
    configuration_based: 'choose one of the modes',
  })
    .default('initial')
    .describe(
      'initial: once. initial_only: and then end, with 1 where a table had to be given up. no_data: never. when_needed: also when the log no longer reaches back. always: at each start.',
    ),
  parallelism: whole(1, 64).default(2).describe('Connections that read at once.'),
  chunk_rows: whole(100, 100_000_000).default(100_000).describe('Rows of one chunk, about.'),
  where: z
    .record(matching(TABLE_NAME, 'schema.table'), text('an SQL condition'), {
      error: 'must be a block of schema.table: condition',
    })
    .default({})
    .describe('schema.table: SQL condition; only rows that satisfy it are read.'),
  wal_limit: size()
    .default('10GB')
    .describe(
      'When the server keeps more WAL than this, streaming begins and the rest of the snapshot is read beside it.',
    ),
});

const kafka = block({
  brokers: list(
    matching(/^(\[[0-9a-fA-F:.]+\]|[^:\s/,]+):\d{1,5}$/, 'host:port'),
    'a list of host:port such as [kafka:9092]',
  ).describe('host:port of some brokers; the others are found through them.'),
  tls: tls.optional().describe('Encryption of the broker connections. Without this block there is none.'),
  sasl: block({
    mechanism: oneOf(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']).describe(
      'PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 take username and password; OAUTHBEARER takes token or token_file.',
    ),
    username: text().optional().describe('User name.'),
    password: secret().optional().describe('The password, best as ${file:…} or ${env:…}.'),
    token: secret().optional().describe('A token that does not expire.'),
    token_file: text('the path of a file')
      .optional()
      .describe('File with a token, read again for each login: whoever renews it replaces the file.'),
  })
    .optional()
    .describe('Login at the brokers.'),
  producer: block({
    compression: oneOf(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
      .default('lz4')
      .describe('Of record batches.'),
    batch_bytes: size(1024)
      .default('960KiB')
      .describe('Batches are sealed at this size, before compression.'),
    max_pending: size(65_536)
      .default('8MiB')
      .describe('Bytes not yet acknowledged above which reading waits.'),
    delivery_timeout: duration(1_000)
      .default('2m')
      .describe('How long a broker may be away before the attempt is given up and begun again.'),
    transaction_timeout: duration(1_000)
      .default('2m')
      .describe('After this the broker drops an open transaction; its own limit is 15 minutes.'),
  })
    .prefault({})
    .describe('How batches are made.'),
  topics: block({
    create: flag().default(true).describe('Create topics that are missing.'),
    partitions: whole(1, 100_000).default(3).describe('Partitions of topics that are created.'),
    replication_factor: whole(1, 1_000)
      .optional()
      .describe('Replicas of topics that are created; 3, or as many as there are brokers.'),
    config: z
      .record(
        z.string(),
        z.union([z.string(), z.number(), z.boolean()], { error: 'must be text, a number, true or false' }),
        { error: 'must be a block of topic settings' },
      )
      .default({})
      .describe('Topic settings for topics that are created, e.g. retention.ms.'),
  })
    .prefault({})
    .describe('How topics are made.'),
  oversize: oneOf(['fail', 'dead-letter'])
    .default('fail')
    .describe(
      'A record larger than its topic allows: stop, or write a note to the dead-letter topic and go on.',
    ),
  dead_letter_topic: text('a topic name').optional().describe('<name>.dead-letter unless said otherwise.'),
  session_timeout: duration(1_000)
    .default('10s')
    .describe('After this a standby takes over from an instance that has gone silent.'),
});

const emit = block({
  kafka: kafka.optional().describe('Deliver to Kafka.'),
  file: block({
    path: text('the path of a directory').describe('Directory of the segments, relative to this file.'),
    rotate: block({
      size: size(1_024).default('256MiB').describe('A new segment at this size.'),
      every: duration(1_000).optional().describe('A new segment at this age.'),
    })
      .prefault({})
      .describe('When a new segment begins.'),
  })
    .optional()
    .describe('Deliver to files, one JSON object a line.'),
  stdout: block({}).optional().describe('Deliver to standard output, one JSON object a line: `stdout: {}`.'),
  format: oneOf(['json', 'json-with-schema', 'avro', 'protobuf', 'json-schema'])
    .default('json')
    .describe(
      'json; json-with-schema as Kafka Connect writes it with schemas.enable; avro, protobuf and json-schema with their schemas in emit.registry.',
    ),
  registry: registry
    .optional()
    .describe(
      'The schema registry of the formats avro, protobuf and json-schema, and of statements with AVRO.',
    ),
  topic: text('a template such as {name}.{schema}.{table}')
    .default('{name}.{schema}.{table}')
    .describe('Topic of a table; {name}, {schema} and {table} are filled in.'),
  ...EMIT_TRANSFORMS,
  delivery: oneOf(['exactly-once', 'at-least-once'], {
    exactly_once: 'write it with hyphens',
    at_least_once: 'write it with hyphens',
  })
    .default('exactly-once')
    .describe(
      'exactly-once needs a consumer with isolation.level=read_committed; at-least-once is faster by a few ms.',
    ),
  profile: oneOf(['debezium', 'safe'])
    .default('debezium')
    .describe('How types are written: as Debezium does, or so that nothing is lost.'),
  envelope: oneOf(['full', 'unwrapped'])
    .default('full')
    .describe(
      'full: before, after, source, op. unwrapped: the row alone; a delete is a record without value.',
    ),
  tombstones: flag()
    .default(true)
    .describe('A delete is followed by a record without value, for compaction.'),
  transaction_metadata: flag()
    .default(false)
    .describe('The transaction block in each record, and BEGIN and END on <name>.transaction.'),
  position_header: flag()
    .default(false)
    .describe(
      'Each record of a table tells its place in the log in the header __headwater.position: statements join topics by it.',
    ),
  schema_changes: flag()
    .default(true)
    .describe('CREATE, ALTER, DROP and the like of captured tables go to <name>, from MySQL and MariaDB.'),
  messages: flag().default(true).describe('Logical messages (pg_logical_emit_message) go to <name>.message.'),
  truncates: flag().default(false).describe('TRUNCATE becomes a record with op t.'),
  heartbeat: duration(100)
    .optional()
    .describe('A record to __debezium-heartbeat.<name> this often; never unless set.'),
  max_transaction: block({
    rows: whole(1, 10_000_000).default(100_000).describe('Rows.'),
    time: duration(100).default('10s').describe('Time.'),
  })
    .prefault({})
    .describe('A larger source transaction is delivered in several Kafka transactions.'),
});

export const FILE_SCHEMA = block({
  name: matching(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    'letters, digits, dots, hyphens and underscores, at most 100, beginning with a letter or digit',
  ).describe('Name of the pipeline: topic prefix, slot, metrics label.'),
  source: source.describe('The database.'),
  snapshot: snapshot.prefault({}).describe('Reading what is there already.'),
  emit: emit.describe('Where records go, and how they are written. One of kafka, file and stdout.'),
  tables: z
    .record(
      matching(TABLE_NAME, 'schema.table'),
      block({
        key: list(text('a column name'), 'a list of column names')
          .optional()
          .describe(
            'Columns of the record key, instead of the primary key; where they are not part of the replica identity the table needs REPLICA IDENTITY FULL.',
          ),
        topic: text('a topic name').optional().describe('Topic of this table.'),
        ...TABLE_TRANSFORMS,
      }),
      { error: 'must be a block of schema.table: settings' },
    )
    .default({})
    .describe('What is different for single tables, by schema.table.'),
  outbox: OUTBOX,
  enrich: block({
    sql: list(text('a file such as enrich/orders.sql, or statements'), 'a list of files and statements')
      .default([])
      .describe(
        'Files with SQL statements, relative to this file (a name that ends in .sql), or the statements themselves; docs/enrichment.md. Left out: those alone that clients make (docs/sql-api.md).',
      ),
    shared: flag()
      .default(false)
      .describe(
        'Queries over Kafka topics alone are shared by all instances of the pipeline, partition by partition; docs/enrichment.md.',
      ),
    dialect: oneOf(['friendly', 'ksqldb'])
      .default('friendly')
      .describe(
        'friendly lets pass, with a warning, what slides and older versions show; ksqldb refuses it.',
      ),
    join: block({
      skew: duration(0)
        .default('0ms')
        .describe(
          'By how much the clock of who writes a topic may be ahead of that of the tables’ source: an event is joined with the tables as of its time when the database’s log, or the tables’ topics, have been read this much further.',
        ),
      max_wait: z
        .union([z.literal('unlimited'), duration(0)])
        .default('1s')
        .describe(
          'How long an event of a topic waits at most until the database’s log, or the tables’ topics, have been read up to its time; 0ms joins with what is there; unlimited.',
        ),
    })
      .prefault({})
      .describe('Events of topics joined with tables.'),
  })
    .optional()
    .describe('Streams joined with captured tables, in SQL.'),
  http: block({
    listen: text('host:port, or off')
      .optional()
      .describe(
        'host:port of health, metrics and status; off for none. Without it 127.0.0.1:8080 is tried and done without if taken.',
      ),
    sql: text('host:port, or off')
      .optional()
      .describe(
        'host:port of the SQL interface, for ksqlDB’s clients; off for none. Without it 127.0.0.1:8088 is tried where there are statements, and done without if taken.',
      ),
    sql_changes: oneOf(['token', 'open'])
      .default('token')
      .describe(
        'Who may send statements that change something to the SQL interface: whoever has http.token, and nobody where there is none; or everybody who may ask, for clients that can send no token.',
      ),
    token: secret()
      .optional()
      .describe(
        'Bearer token for all but the health paths; needed when listening elsewhere than on loopback.',
      ),
  })
    .prefault({})
    .describe('The HTTP interface, one a process.'),
  state: block({
    dir: text('the path of a directory')
      .optional()
      .describe('Local state, relative to this file; $STATE_DIRECTORY, else .headwater beside this file.'),
    memory_limit: size(1024 * 1024)
      .default('512MiB')
      .describe(
        'Joined tables, groups of aggregates and results that clients can ask for are kept on disk from then on where they take more memory than this.',
      ),
    durable: flag()
      .default(false)
      .describe(
        'Joined tables, groups and results are on disk from the beginning, and a start need not read all rows of the tables.',
      ),
  })
    .prefault({})
    .describe(
      'Local state: joined tables, what is read of groups, and the checkpoint of the stdout sink. With Kafka and files that lives there.',
    ),
  shutdown: block({
    timeout: duration(100).default('30s').describe('How long draining may take after the first signal.'),
  })
    .prefault({})
    .describe('How the process ends.'),
}).describe('Settings of one Headwater pipeline.');

export type FileShape = z.output<typeof FILE_SCHEMA>;
