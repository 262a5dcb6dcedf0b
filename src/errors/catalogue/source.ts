import type { CatalogueEntry } from './entry.ts';

/** Errors of the database and its log. */
export const SOURCE = {
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
    advice: 'Grant what the message names; `headwater doctor` prints the statement.',
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
  'source.table-locked': {
    fate: 'retry',
    exit: 1,
    summary: 'A table is locked by somebody else, so that its changes cannot be published.',
    advice:
      "Nothing to do: the others go on, and the table is taken up and read when the lock is gone. `SELECT pid, mode FROM pg_locks WHERE relation = 'public.orders'::regclass` shows who holds it.",
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
} as const satisfies Record<string, CatalogueEntry>;
