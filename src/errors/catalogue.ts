/**
 * Every error Headwater can raise, with what happens then and what the operator can do. The table is total:
 * a code without a fate does not compile. docs/errors.md is generated from it (`npm run docs`).
 */

/** What the supervisor does with an error. Policy lives here alone. */
export type Fate =
  | 'retry' // jittered exponential back-off, reset on progress
  | 'quarantine' // one table stops, the others go on
  | 'resnapshot' // by `source.on_gap`
  | 'halt'; // the process ends with `exit`

/** 1 runtime, 2 settings, 3 environment (missing privilege, unreachable server). */
export type ExitCode = 1 | 2 | 3;

export interface CatalogueEntry {
  readonly fate: Fate;
  /** Exit code when this ends the process (also a retry that ends a job such as `--until-caught-up`). */
  readonly exit: ExitCode;
  readonly summary: string;
  readonly advice: string;
}

export const CATALOGUE = {
  'internal.bug': {
    fate: 'halt',
    exit: 1,
    summary: 'An invariant of Headwater did not hold.',
    advice: 'Report it with the log line and its stack. Restarting resumes from the last durable checkpoint.',
  },
  'settings.file-unreadable': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file cannot be read.',
    advice: 'Check the path and its permissions.',
  },
  'settings.invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file is malformed or holds a value that is not allowed.',
    advice: 'Correct the named line; `headwater settings schema` prints what is allowed.',
  },
  'settings.secret-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A ${env:…} or ${file:…} reference has nothing behind it.',
    advice: 'Set the environment variable or create the file, readable for the user Headwater runs as.',
  },
  'settings.duplicate-name': {
    fate: 'halt',
    exit: 2,
    summary: 'Two files have the same pipeline name, or differ in the http block of the process.',
    advice: 'Names are topic prefixes and slot names: give each pipeline its own.',
  },
  'settings.no-table-matches': {
    fate: 'halt',
    exit: 2,
    summary: 'A pattern in source.tables matches no table.',
    advice: 'Check schema and spelling, and that the role can see the table.',
  },
  'settings.key-column-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A key in tables.….key names a column that the table does not have.',
    advice: 'Correct the column names of that key, or remove it to use the key of the table itself.',
  },
  'settings.column-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A rule, a header or the outbox in the settings names a column that the table does not have.',
    advice: 'Correct the name, or remove it from the settings; names are those of the database.',
  },
  'settings.column-twice': {
    fate: 'halt',
    exit: 2,
    summary: 'By the settings two columns of a table would have the same name in its records.',
    advice: 'Give one of them another name in tables.….columns.rename, or the added field in emit.',
  },
  'source.unreachable': {
    fate: 'retry',
    exit: 3,
    summary: 'The database server does not answer, or is starting up.',
    advice: 'Check host and port in source.url, the firewall, and that the server runs and listens there.',
  },
  'source.connection-lost': {
    fate: 'retry',
    exit: 3,
    summary: 'The connection to the database broke: network, restart, or a time-out of the server.',
    advice:
      'Nothing is lost; Headwater reconnects. If it recurs look at the server log and its time-outs (PostgreSQL: wal_sender_timeout; MySQL: net_write_timeout).',
  },
  'source.tls-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'TLS with the database could not be established.',
    advice:
      'Check source.tls: the mode, the CA that signed the server certificate, and the name it is made out to.',
  },
  'source.auth-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The database refuses the login.',
    advice:
      'Check user and password, and that the server lets this host in (PostgreSQL: pg_hba.conf; MySQL: the host part of the user).',
  },
  'source.database-missing': {
    fate: 'halt',
    exit: 3,
    summary: 'The database in source.url does not exist on that server.',
    advice: 'Correct the last part of source.url, or create the database.',
  },
  'source.read-only': {
    fate: 'retry',
    exit: 3,
    summary: 'The server is a standby, where something would have to be created.',
    advice: 'Name the primary (or all hosts) in source.url, or create the publication on the primary first.',
  },
  'source.too-many-connections': {
    fate: 'retry',
    exit: 3,
    summary: 'The server has no connection left for this role or in all.',
    advice:
      'Raise max_connections (PostgreSQL: max_wal_senders too) or the role’s limit; Headwater needs two, and some for a snapshot.',
  },
  'source.out-of-resources': {
    fate: 'retry',
    exit: 3,
    summary: 'The server ran out of memory, disk or another resource.',
    advice: 'Look at the server log and free what it names; Headwater tries again.',
  },
  'source.query-interrupted': {
    fate: 'retry',
    exit: 1,
    summary: 'A statement was cancelled, deadlocked or waited too long for a lock.',
    advice: 'Headwater tries again. If it recurs find out in the server log who cancels or locks.',
  },
  'source.query-failed': {
    fate: 'halt',
    exit: 1,
    summary: 'The database refused a statement of Headwater for a reason it has no answer to.',
    advice: 'The message holds the server’s own code; look at the server log for the statement.',
  },
  'source.privilege-missing': {
    fate: 'halt',
    exit: 3,
    summary: 'The role lacks a privilege.',
    advice: 'Run `headwater doctor`: it prints the exact GRANT.',
  },
  'source.version-unsupported': {
    fate: 'halt',
    exit: 3,
    summary: 'The server is older than what Headwater can read.',
    advice:
      'PostgreSQL from 15 on is supported (13 and 14 work with fewer checks), MySQL from 5.6, MariaDB from 10.11, Oracle from 19c.',
  },
  'source.wal-level': {
    fate: 'halt',
    exit: 3,
    summary: 'The server does not write what logical decoding needs.',
    advice: 'ALTER SYSTEM SET wal_level = logical; then restart the server.',
  },
  'source.no-replication-privilege': {
    fate: 'halt',
    exit: 3,
    summary: 'The role may not replicate.',
    advice: 'As superuser: ALTER ROLE … REPLICATION; (on RDS: GRANT rds_replication TO …;)',
  },
  'source.slots-exhausted': {
    fate: 'halt',
    exit: 3,
    summary: 'The server has no replication slot or WAL sender left.',
    advice:
      'Drop slots nobody uses, or raise max_replication_slots and max_wal_senders and restart the server.',
  },
  'source.slot-in-use': {
    fate: 'retry',
    exit: 3,
    summary: 'Another session reads the replication slot.',
    advice: 'Stop that session, or give this pipeline a slot of its own in source.postgres.slot.',
  },
  'source.slot-foreign': {
    fate: 'halt',
    exit: 3,
    summary: 'A replication slot of this name exists that this pipeline has not made.',
    advice: 'Drop the slot if nobody needs it, or choose another name in source.postgres.slot.',
  },
  'source.slot-unusable': {
    fate: 'halt',
    exit: 3,
    summary: 'The replication slot belongs to another database or uses another output plugin.',
    advice: 'Choose another name in source.postgres.slot.',
  },
  'source.publication-foreign': {
    fate: 'halt',
    exit: 3,
    summary: 'The publication is not as it has to be and belongs to another role.',
    advice:
      'Let its owner run the statement in the message, or choose another name in source.postgres.publication.',
  },
  'source.position-lost': {
    fate: 'resnapshot',
    exit: 1,
    summary: 'The log no longer reaches back to the checkpoint.',
    advice:
      'source.on_gap decides: resnapshot reads all tables again, skip_with_marker goes on without what is missing.',
  },
  'source.server-id-clash': {
    fate: 'retry',
    exit: 3,
    summary:
      'Another reader or replica of the server has the same server id, and the server ended one of the two.',
    advice:
      'Give this pipeline another number in source.mysql.server_id; each replica and reader needs its own.',
  },
  'source.binlog-off': {
    fate: 'halt',
    exit: 3,
    summary: 'The server writes no binary log.',
    advice: 'Set log_bin (and on MariaDB server_id) in the server’s configuration and restart it.',
  },
  'source.binlog-format': {
    fate: 'halt',
    exit: 3,
    summary: 'The server logs statements instead of the rows that they change.',
    advice: 'Set binlog_format = ROW globally; sessions that are open already keep their own.',
  },
  'source.schema-unknown': {
    fate: 'quarantine',
    exit: 1,
    summary: 'Rows in the log cannot be read, because the columns the table had then are not known.',
    advice:
      'Read the table again (remove its entry from the state, or use a new pipeline name). Set binlog_row_metadata = FULL: then the log itself names the columns.',
  },
  'source.statement-logged': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A statement is in the log instead of the rows it changed.',
    advice:
      'Set binlog_format = ROW globally, find the session that sets another one, and read the table again.',
  },
  'source.rolled-back': {
    fate: 'quarantine',
    exit: 1,
    summary: 'Changes were delivered of a large transaction that the log says was rolled back.',
    advice:
      'Read the table again with `headwater resync`. MariaDB logs a transaction that is rolled back where it has made or dropped a temporary table, or has changed tables without transactions: do that outside of large transactions.',
  },
  'source.behind': {
    fate: 'retry',
    exit: 3,
    summary: 'The server has not all transactions yet that were delivered from another one.',
    advice:
      'Wait until the replica has caught up. If it never will, because they were lost, stop its replication: then the gap is answered by source.on_gap.',
  },
  'source.xa-too-large': {
    fate: 'halt',
    exit: 1,
    summary: 'XA transactions that are prepared and not decided hold more changes than fit into memory.',
    advice: 'Decide them: XA RECOVER lists them. Transactions that large should be made without XA.',
  },
  'source.tables-changed': {
    fate: 'retry',
    exit: 1,
    summary: 'Tables that the settings name were created, made anew, or are no longer published.',
    advice: 'Nothing to do: Headwater publishes them and reads the new ones while the stream goes on.',
  },
  'source.log-readable': {
    fate: 'retry',
    exit: 3,
    summary: 'Tables are polled, and the log can be read by now.',
    advice: 'Nothing is to be done: the pipeline goes on with the log, which begins with a snapshot.',
  },
  'source.redo-unreadable': {
    fate: 'halt',
    exit: 1,
    summary:
      'A statement of Oracle’s redo log cannot be read, or names a column that the table does not have.',
    advice:
      'Nothing of that transaction was delivered. After a DDL under strategy online_catalog use hybrid; else report it, and set source.oracle.on_unreadable to dead-letter to go on.',
  },
  'source.archive-mode': {
    fate: 'halt',
    exit: 3,
    summary: 'The Oracle database is not in ARCHIVELOG mode.',
    advice:
      'SHUTDOWN IMMEDIATE; STARTUP MOUNT; ALTER DATABASE ARCHIVELOG; ALTER DATABASE OPEN; on RDS turn backups on.',
  },
  'source.supplemental-logging': {
    fate: 'halt',
    exit: 3,
    summary: 'Oracle’s redo log does not hold what is needed to tell changes apart (supplemental logging).',
    advice: 'ALTER DATABASE ADD SUPPLEMENTAL LOG DATA; and ALL COLUMNS for the captured tables.',
  },
  'source.container': {
    fate: 'halt',
    exit: 3,
    summary: 'The session is in the wrong container of a multitenant database, or the PDB is not open.',
    advice: 'Connect to CDB$ROOT with a common user (C##…) and name the PDB, open, in source.oracle.pdb.',
  },
  'source.client-unsupported': {
    fate: 'halt',
    exit: 3,
    summary: 'The Oracle server asks for something that the driver’s thin mode does not have.',
    advice:
      'Thin mode needs Oracle 12.1 or later, TLS (tcps) instead of native network encryption, and a password verifier newer than 10G.',
  },
  'source.log-missing': {
    fate: 'retry',
    exit: 3,
    summary: 'A redo log that is needed cannot be read at the moment.',
    advice:
      'Look whether the archiver runs and the archived logs are still on disk; lengthen their retention, or restore the log that the message names.',
  },
  'source.log-failed': {
    fate: 'halt',
    exit: 1,
    summary: 'LogMiner failed again and again at the same place.',
    advice: 'Look at the database’s alert log and Oracle Support for the error that the message quotes.',
  },
  'source.value-unreadable': {
    fate: 'quarantine',
    exit: 1,
    summary: 'The server sent a value in a form its type does not have.',
    advice:
      'Check that nothing between Headwater and the server changes DateStyle, IntervalStyle or bytea_output; report it with the type and the server version.',
  },
  'source.protocol': {
    fate: 'halt',
    exit: 1,
    summary: 'The server sent something that the replication protocol does not allow here.',
    advice: 'Report it with the server version. Nothing past the last checkpoint was confirmed.',
  },
  'state.position-invalid': {
    fate: 'halt',
    exit: 1,
    summary: 'The stored position is not one this version can read.',
    advice: 'Look at it with `headwater offsets show`; set it right with `headwater offsets set`.',
  },
  'state.locked': {
    fate: 'halt',
    exit: 3,
    summary: 'Another instance uses the same state or output.',
    advice: 'Stop the other instance, or give this pipeline another name or directory.',
  },
  'delivery.unreachable': {
    fate: 'retry',
    exit: 3,
    summary: 'No Kafka broker, or not the one that is needed, can be reached.',
    advice:
      'Check emit.kafka.brokers, name resolution and firewalls; look at the brokers and their advertised.listeners.',
  },
  'delivery.auth-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka refused the login.',
    advice: 'Check emit.kafka.sasl: mechanism, user name and password or token.',
  },
  'delivery.tls-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The TLS connection to Kafka could not be made.',
    advice:
      'Check emit.kafka.tls: the CA, the host name in the certificate, the client certificate, and whether the listener speaks TLS.',
  },
  'delivery.topic-denied': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka denies access to a topic.',
    advice: 'Allow the principal Describe, Read, Write, Create and DescribeConfigs on the topic.',
  },
  'delivery.topic-missing': {
    fate: 'halt',
    exit: 3,
    summary: 'A topic does not exist and Headwater is not to create it.',
    advice: 'Create the topic, or let Headwater do so (emit.kafka.topics.create: true).',
  },
  'delivery.topic-invalid': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka refuses to create a topic, or an existing one has settings that cannot work.',
    advice: 'Correct emit.kafka.topics (partitions, replication factor, config) or the topic itself.',
  },
  'delivery.cluster-denied': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka denies an operation on the cluster.',
    advice:
      'Allow the principal IdempotentWrite (and Create, where topics are to be created) on the cluster.',
  },
  'delivery.group-denied': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka denies the consumer group whose membership decides which instance runs.',
    advice: 'Allow the principal Read and Describe on the group headwater.<name>.',
  },
  'delivery.transactions-denied': {
    fate: 'halt',
    exit: 3,
    summary: 'Kafka denies the transactional id.',
    advice: 'Allow the principal Write and Describe on the transactional id headwater.<name>.',
  },
  'delivery.transactions-unsupported': {
    fate: 'halt',
    exit: 3,
    summary: 'The Kafka cluster cannot do transactions as they are asked for.',
    advice: 'Use Kafka 2.5 or later with its transaction log available, or set emit.delivery: at-least-once.',
  },
  'delivery.unsupported-broker': {
    fate: 'halt',
    exit: 3,
    summary: 'The broker is too old, or does not speak a request that is needed.',
    advice: 'Use Kafka 2.5 or later.',
  },
  'delivery.refused': {
    fate: 'retry',
    exit: 1,
    summary: 'Kafka refused a request for a reason Headwater has no special treatment for.',
    advice: "Look up the Kafka error number of the message in the broker's log at that time.",
  },
  'delivery.fenced': {
    fate: 'retry',
    exit: 1,
    summary: 'Another instance with the same name has taken over, or a transaction was open for too long.',
    advice:
      'Nothing is lost or doubled. This instance waits as a standby; if there should be one only, stop the other.',
  },
  'delivery.lease-lost': {
    fate: 'retry',
    exit: 1,
    summary: 'This instance no longer holds the lease of its pipeline.',
    advice:
      'Nothing is lost. It waits as a standby. If it was paused or starved for longer than the session timeout, give it more CPU.',
  },
  'delivery.transaction-lost': {
    fate: 'retry',
    exit: 1,
    summary: 'The broker has forgotten the state of the transaction.',
    advice: 'Nothing to do: Headwater resumes from the last durable checkpoint.',
  },
  'delivery.batch-too-large': {
    fate: 'retry',
    exit: 1,
    summary: 'A topic takes smaller batches than it did when Headwater asked.',
    advice:
      'Nothing to do: Headwater asks again and makes smaller batches. Raise max.message.bytes of the topic if it keeps failing.',
  },
  'delivery.key-unknown': {
    fate: 'quarantine',
    exit: 1,
    summary: 'The log does not hold the columns that tables.….key makes the key of a deleted row.',
    advice:
      'ALTER TABLE … REPLICA IDENTITY FULL, or name columns of the replica identity; such deletes lie in the dead-letter topic.',
  },
  'delivery.unsigned-overflow': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A BIGINT UNSIGNED value past 2^63-1 does not fit the int64 of its record.',
    advice:
      'The change lies in the dead-letter topic. Set source.mysql.unsigned_overflow to string (the column becomes text) or wrap (the same 64 bits, signed), or use profile: safe.',
  },
  'delivery.record-too-large': {
    fate: 'halt',
    exit: 1,
    summary: 'A record is larger than its topic allows.',
    advice:
      'Raise max.message.bytes of the topic, exclude or truncate the large column, or set emit.kafka.oversize: dead-letter.',
  },
  'delivery.state-invalid': {
    fate: 'halt',
    exit: 1,
    summary: 'The durable state kept beside the records cannot be read.',
    advice:
      'Look at the topic or file named; if it was written by something else, give the pipeline another name.',
  },
  'delivery.closed': {
    fate: 'halt',
    exit: 1,
    summary: 'The reader of standard output has gone away.',
    advice: 'Keep the program that reads the pipe running; Headwater resumes from the last checkpoint.',
  },
  'delivery.disk': {
    fate: 'retry',
    exit: 3,
    summary: 'The output directory cannot be written.',
    advice: 'Check space, permissions and the health of the disk.',
  },
  'state.snapshot-invalid': {
    fate: 'halt',
    exit: 1,
    summary: 'The stored state of the snapshot is not one this version can read.',
    advice: 'Read the tables again with `headwater resync`, or run the version that wrote the state.',
  },
  'snapshot.table-unreadable': {
    fate: 'quarantine',
    exit: 3,
    summary: 'A table cannot be read: it is gone, or the role may not read it.',
    advice:
      'Grant SELECT on the table, or take it out of source.tables; it is tried again at the next start.',
  },
  'snapshot.table-locked': {
    fate: 'retry',
    exit: 1,
    summary: 'A table is locked by somebody else and cannot be read for the moment.',
    advice: 'Nothing to do: the other tables are read first, and this one when the lock is gone.',
  },
  'snapshot.table-rewritten': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table was truncated or rewritten while its snapshot was taken.',
    advice: 'Nothing to do: the table is read again while the stream runs.',
  },
  'snapshot.table-unsettled': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table changes in a way that keeps its snapshot from being joined with the stream.',
    advice:
      'It is tried again at the next start; give a table without a key a primary key, or start when it is quiet.',
  },
  'delivery.incomplete': {
    fate: 'halt',
    exit: 1,
    summary: 'A run that ends by itself has delivered everything but what it had to give up of some tables.',
    advice: 'The log says why for each. Mend that and start again: only those tables are read then.',
  },
  'snapshot.no-common-position': {
    fate: 'halt',
    exit: 3,
    summary: 'The server offers no way to read tables at a known position of its log.',
    advice: 'GRANT LOCK TABLES on the captured databases to the user of source.url, or turn gtid_mode on.',
  },
  'snapshot.where-invalid': {
    fate: 'quarantine',
    exit: 2,
    summary:
      'The condition for the rows of a table (snapshot.where, or --where) is not one the server accepts.',
    advice:
      'Correct snapshot.where, or ask again with another --where; `SELECT … WHERE (condition)` must work for the role of source.url.',
  },
  'registry.unreachable': {
    fate: 'retry',
    exit: 3,
    summary: 'The schema registry does not answer.',
    advice:
      'Nothing is lost: delivery waits and goes on by itself. Check emit.registry.url, name resolution and firewalls.',
  },
  'registry.unwell': {
    fate: 'retry',
    exit: 3,
    summary: 'The schema registry answers with an error of its own (5xx) or asks to slow down (429).',
    advice: 'Nothing is lost: delivery waits and goes on by itself. Look at the log of the registry.',
  },
  'registry.answer-malformed': {
    fate: 'retry',
    exit: 3,
    summary: 'What answers at emit.registry.url does not answer like a schema registry.',
    advice:
      'Check the base path in emit.registry.url (Apicurio: /apis/ccompat/v7) and proxies on the way; it is asked again.',
  },
  'registry.auth-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The schema registry refuses the login, or the user may not do what is needed.',
    advice: 'Check emit.registry.auth; the user needs to read and write the subjects of the topics.',
  },
  'registry.tls-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The TLS connection to the schema registry could not be made.',
    advice: 'Check emit.registry.tls: the CA, the host name in the certificate, the client certificate.',
  },
  'schema.incompatible': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table has changed in a way that the compatibility of its subject in the registry forbids.',
    advice:
      'Lower the compatibility of the subject, or choose another emit.registry.on_incompatible; the table goes on by itself, read anew, once its schema is accepted.',
  },
  'schema.incompatible-stop': {
    fate: 'halt',
    exit: 1,
    summary: 'A table has changed incompatibly, and emit.registry.on_incompatible is fail.',
    advice:
      'Lower the compatibility of the subject, or choose another emit.registry.on_incompatible. Nothing is lost: the next start goes on before the change.',
  },
  'schema.accepted': {
    fate: 'retry',
    exit: 1,
    summary: 'The schema of a paused table is accepted, or fits the settings again.',
    advice: 'Nothing to do: the table is read anew while the stream goes on.',
  },
  'schema.refused': {
    fate: 'quarantine',
    exit: 1,
    summary: 'The registry does not accept a schema as one of its format.',
    advice: 'The message holds what the registry objects to; the table waits, the others go on.',
  },
  'schema.not-latest': {
    fate: 'quarantine',
    exit: 1,
    summary: 'emit.registry.register is latest, and the latest schema of a subject is not that of the table.',
    advice: 'Register the schema of the table, or set emit.registry.register: auto.',
  },
  'schema.name-invalid': {
    fate: 'quarantine',
    exit: 2,
    summary: 'A table, column or topic has a name that the format does not allow.',
    advice: 'Set emit.registry.names: avro (or avro_unicode, which keeps names apart).',
  },
  'schema.value-unrepresentable': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A value has no place in the schema of its table.',
    advice:
      'The change lies in the dead-letter topic; another emit.format or emit.profile: safe can hold it.',
  },
  'enrich.statement-invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'A statement of enrich.sql cannot be understood or does not fit the tables it names.',
    advice: 'Correct the statement at the line and column named; docs/enrichment.md shows what there is.',
  },
  'enrich.not-supported': {
    fate: 'halt',
    exit: 2,
    summary: 'A statement of enrich.sql asks for something this version does not do.',
    advice: 'docs/enrichment.md lists what works; leave the statement out or write it another way.',
  },
  'enrich.table-changed': {
    fate: 'retry',
    exit: 1,
    summary:
      'A column that enrich.sql uses was dropped, or has a type that its former one does not widen to.',
    advice:
      'Nothing to do: the statements are compiled again for the table as it is now. A query that no longer fits it is paused, and the log names it.',
  },
  'enrich.table-unreadable': {
    fate: 'halt',
    exit: 3,
    summary: 'A table that enrich.sql joins with cannot be read, or is not captured.',
    advice: 'Grant SELECT on it and list it in source.tables; a join without its table would be wrong.',
  },
  'enrich.row-failed': {
    fate: 'halt',
    exit: 1,
    summary: "An expression failed for a row, and the query's ON_ERROR is STOP.",
    advice: 'Correct the statement or the row, or leave ON_ERROR out: then it is logged and counted.',
  },
  'query.not-ready': {
    fate: 'halt',
    exit: 1,
    summary: 'A table that a query asks for is not complete yet.',
    advice: 'Ask again when `headwater status` says that the pipeline streams.',
  },
  'query.not-running': {
    fate: 'halt',
    exit: 1,
    summary: 'No pipeline with statements runs, so that there is nothing to ask.',
    advice: 'Ask again in a moment; `headwater status` says what the pipeline does.',
  },
  'query.too-many': {
    fate: 'halt',
    exit: 1,
    summary: 'More queries with EMIT CHANGES run than may.',
    advice: 'End some of them, or let consumers read the topic instead.',
  },
  'query.cut-off': {
    fate: 'halt',
    exit: 1,
    summary: 'A query of a client was ended, since more waits for the client than is kept for it.',
    advice: 'Read faster, ask for fewer rows with WHERE, or read the topic of the stream instead.',
  },
  'query.ended': {
    fate: 'halt',
    exit: 1,
    summary: 'A query of a client was ended, since its pipeline stops or begins anew.',
    advice: 'Send the query again.',
  },
  'http.port-in-use': {
    fate: 'halt',
    exit: 3,
    summary: 'Another process listens on the address of http.listen or http.sql.',
    advice: 'Stop that process, or choose another port in that setting (or `off`).',
  },
  'http.cannot-listen': {
    fate: 'halt',
    exit: 3,
    summary: 'The address of http.listen or http.sql cannot be listened on.',
    advice: 'Choose an address of this machine and a port above 1023 in that setting, or `off`.',
  },
  'http.no-daemon': {
    fate: 'halt',
    exit: 3,
    summary: 'No running daemon answers.',
    advice: 'Start it with `headwater run`, or name the settings file whose http.listen it uses.',
  },
  'http.unauthorized': {
    fate: 'halt',
    exit: 3,
    summary: 'The running daemon wants another token.',
    advice: 'Use the settings file the daemon runs with, or set HEADWATER_TOKEN.',
  },
  'request.no-such-pipeline': {
    fate: 'halt',
    exit: 2,
    summary: 'The running daemon has no pipeline of that name.',
    advice: 'Use the settings file of a pipeline that the daemon runs.',
  },
  'request.no-such-table': {
    fate: 'halt',
    exit: 2,
    summary: 'A table that is asked for is not one the pipeline captures.',
    advice: 'Write it as schema.table; add it to source.tables and reload where it is to be captured.',
  },
  'request.not-running': {
    fate: 'halt',
    exit: 1,
    summary: 'The pipeline is in no state to do what it is asked for.',
    advice: '`headwater status` says what it does; ask again when it streams.',
  },
  'request.timed-out': {
    fate: 'halt',
    exit: 1,
    summary:
      'The pipeline has taken the request and not come to it in time; it is done as soon as it can be.',
    advice: 'Look at `headwater status`: a pipeline that backs off or waits for Kafka comes to it later.',
  },
  'request.invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'A request to the daemon is not one it understands.',
    advice: 'Use the command line of the same version as the daemon.',
  },
  'demo.no-postgres': {
    fate: 'halt',
    exit: 3,
    summary: 'The demo cannot start a PostgreSQL of its own on this machine.',
    advice:
      'Run it on Linux or macOS, as an ordinary user, after `npm ci` without --omit=optional; or try Headwater on a database of yours: docs/postgres.md.',
  },
  'demo.no-kafka': {
    fate: 'halt',
    exit: 3,
    summary: 'The demo was asked for Kafka and can have none.',
    advice: 'Name one with --kafka host:port, install Java 17 and Maven, or leave --sink kafka out.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof CATALOGUE;

export function entryOf(code: Code): CatalogueEntry {
  return CATALOGUE[code];
}
