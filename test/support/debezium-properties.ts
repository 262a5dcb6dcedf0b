/**
 * Names of the properties of Debezium's connectors: of MySQL's, MariaDB's and the common ones as the configuration
 * classes of 3.2.0.Final have them, of PostgreSQL's and Oracle's as far as they were known to who wrote this.
 */
export const COMMON = `
advanced.metrics.enable binary.handling.mode column.exclude.list column.include.list
column.mask.hash.SHA-256.with.salt.s column.mask.with.3.chars column.propagate.source.type
column.truncate.to.3.chars connect.timeout.ms connection.validation.timeout.ms converters custom.metric.tags
custom.retriable.exception datatype.propagate.source.type decimal.handling.mode errors.max.retries
event.converting.failure.handling.mode event.processing.failure.handling.mode executor.shutdown.timeout.ms
field.name.adjustment.mode heartbeat.action.query heartbeat.interval.ms incremental.snapshot.allow.schema.changes
incremental.snapshot.chunk.size incremental.snapshot.watermarking.strategy key.converter max.batch.size
max.queue.size max.queue.size.in.bytes message.key.columns min.row.count.to.stream.results
notification.enabled.channels notification.sink.topic.name openlineage.integration.config.file.path
openlineage.integration.enabled poll.interval.ms post.processors provide.transaction.metadata query.fetch.size
read.only retriable.restart.connector.wait.ms schema.exclude.list schema.history.internal.kafka.topic
schema.include.list schema.name.adjustment.mode signal.data.collection signal.enabled.channels
signal.poll.interval.ms signal.kafka.topic skip.messages.without.change skipped.operations snapshot.delay.ms
snapshot.fetch.size snapshot.include.collection.list snapshot.lock.timeout.ms snapshot.locking.mode
snapshot.locking.mode.custom.name snapshot.max.threads snapshot.mode
snapshot.mode.configuration.based.snapshot.data snapshot.mode.configuration.based.snapshot.on.data.error
snapshot.mode.configuration.based.snapshot.on.schema.error snapshot.mode.configuration.based.snapshot.schema
snapshot.mode.configuration.based.start.stream snapshot.mode.custom.name snapshot.query.mode
snapshot.query.mode.custom.name snapshot.scan.all.columns.force snapshot.select.statement.overrides
snapshot.tables.order.by.row.count sourceinfo.struct.maker streaming.delay.ms table.exclude.list
table.ignore.builtin table.include.list tasks.max time.precision.mode tombstones.on.delete topic.cache.size
topic.creation.default.partitions topic.creation.default.replication.factor topic.delimiter
topic.heartbeat.prefix topic.naming.strategy topic.prefix topic.transaction transaction.metadata.factory
transforms unavailable.value.placeholder value.converter database.hostname database.port database.user
database.password database.dbname database.query.timeout.ms exactly.once.support`;

export const BINLOG = `
bigint.unsigned.handling.mode binlog.buffer.size connect.keep.alive connect.keep.alive.interval.ms
database.exclude.list database.include.list database.initial.statements database.jdbc.driver database.protocol
database.server.id database.server.id.offset database.ssl.keystore database.ssl.keystore.password
database.ssl.mode database.ssl.truststore database.ssl.truststore.password enable.time.adjuster
event.deserialization.failure.handling.mode gtid.source.excludes gtid.source.filter.dml.events
gtid.source.includes include.query include.schema.changes include.schema.comments
inconsistent.schema.handling.mode use.nongraceful.disconnect`;

export const POSTGRES = `
plugin.name slot.name slot.drop.on.stop slot.failover slot.max.retries slot.retry.delay.ms slot.stream.params
publication.name publication.autocreate.mode replica.identity.autoset.values replica.autoset.type
publish.via.partition.root database.sslmode database.sslcert database.sslkey database.sslpassword
database.sslrootcert database.sslfactory database.tcpKeepAlive database.initial.statements
interval.handling.mode hstore.handling.mode include.unknown.datatypes status.update.interval.ms
xmin.fetch.interval.ms flush.lsn.source lsn.flush.mode message.prefix.include.list message.prefix.exclude.list
money.fraction.digits schema.refresh.mode snapshot.isolation.mode`;

export const ORACLE = `
database.url database.pdb.name database.connection.adapter rac.nodes lob.enabled interval.handling.mode
legacy.decimal.handling.strategy snapshot.database.errors.max.retries include.schema.changes
include.schema.comments log.mining.strategy log.mining.batch.size.default log.mining.batch.size.increment
log.mining.batch.size.max log.mining.batch.size.min log.mining.sleep.time.default.ms
log.mining.sleep.time.increment.ms log.mining.sleep.time.max.ms log.mining.sleep.time.min.ms
log.mining.session.max.ms log.mining.window.max.ms log.mining.archive.log.hours
log.mining.archive.log.only.mode log.mining.archive.log.only.scn.poll.interval.ms
log.mining.archive.destination.name log.mining.transaction.retention.ms log.mining.username.include.list
log.mining.username.exclude.list log.mining.clientid.include.list log.mining.clientid.exclude.list
log.mining.scn.gap.detection.gap.size.min log.mining.scn.gap.detection.time.interval.max.ms
log.mining.flush.table.name log.mining.buffer.type log.mining.buffer.drop.on.stop
log.mining.buffer.infinispan.cache.global log.mining.buffer.ehcache.transactions.config
log.mining.buffer.transaction.events.threshold log.mining.query.filter.mode log.mining.restart.connection
log.mining.read.only log.mining.include.redo.sql log.mining.path.dictionary archive.log.hours
archive.destination.name object.id.cache.size openlogreplicator.source openlogreplicator.host
openlogreplicator.port`;

export function namesIn(list: string): readonly string[] {
  return list.trim().split(/\s+/);
}
