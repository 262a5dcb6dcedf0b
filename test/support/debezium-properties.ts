/**
 * Names of the properties of Debezium's connectors, as the static `Field`s of the classes of 3.2.0.Final and of the newest
 * that can be had (3.7.0 of PostgreSQL's, 3.6.1 of MySQL's and Oracle's, 3.5.0 of MariaDB's) have them:
 * `*ConnectorConfig` of each connector with what it inherits and, in `COMMON`, the topic naming strategies, Kafka's
 * schema history and the channels of signals and notifications. Where a name is a pattern, one that fits it.
 */
export const COMMON = `
binary.handling.mode column.exclude.list column.include.list column.mask.hash.SHA-256.with.salt.s
column.mask.with.3.chars column.propagate.source.type column.truncate.to.3.chars
connection.validation.timeout.ms converters custom.metric.tags custom.sanitize.pattern
database.connection.factory.class database.connection.timeout.ms database.dbname database.exclude.list
database.hostname database.include.list database.password database.port database.query.timeout.ms database.user
datatype.propagate.source.type decimal.handling.mode errors.max.retries event.converting.failure.handling.mode
event.processing.failure.handling.mode executor.shutdown.timeout.ms field.name.adjustment.mode
heartbeat.action.query heartbeat.interval.ms heartbeat.topics.prefix include.schema.changes
include.schema.comments incremental.snapshot.allow.schema.changes incremental.snapshot.chunk.size
incremental.snapshot.watermarking.strategy internal.advanced.metrics.enable internal.custom.retriable.exception
internal.log.position.check.enable internal.schema.history.internal.ddl.filter
internal.legacy.snapshot.max.threads internal.offset.activity.monitor.interval.ms
internal.signal.processor.semaphore.wait.ms internal.signal.synchronous.batch.size
internal.snapshot.scan.all.columns.force memory.management.schemas.class memory.management.tables.class max.batch.size max.queue.size max.queue.size.in.bytes
message.key.columns notification.enabled.channels notification.sink.topic.name
openlineage.integration.config.file.path openlineage.integration.enabled openlineage.integration.job.description
openlineage.integration.job.namespace openlineage.integration.job.owners openlineage.integration.job.tags
poll.interval.ms post.processors provide.transaction.metadata query.fetch.size queue.provider.type
retriable.restart.connector.wait.ms schema.exclude.list schema.history.internal.connector.class
schema.history.internal.connector.id schema.history.internal.kafka.bootstrap.servers
schema.history.internal.kafka.create.timeout.ms schema.history.internal.kafka.query.timeout.ms
schema.history.internal.kafka.recovery.attempts schema.history.internal.kafka.recovery.poll.interval.ms
schema.history.internal.kafka.topic schema.history.internal.name schema.history.internal.prefer.ddl
schema.history.internal.skip.unparseable.ddl schema.history.internal.store.only.captured.databases.ddl
schema.history.internal.store.only.captured.tables.ddl schema.include.list schema.name.adjustment.mode
signal.data.collection signal.enabled.channels signal.file signal.kafka.bootstrap.servers signal.kafka.groupId
signal.kafka.poll.timeout.ms signal.kafka.topic signal.poll.interval.ms skip.messages.without.change
skipped.operations snapshot.delay.ms snapshot.fetch.size snapshot.include.collection.list
snapshot.lock.timeout.ms snapshot.locking.mode snapshot.locking.mode.custom.name snapshot.max.threads
snapshot.max.threads.multiplier
snapshot.mode snapshot.mode.configuration.based.snapshot.data
snapshot.mode.configuration.based.snapshot.on.data.error
snapshot.mode.configuration.based.snapshot.on.schema.error snapshot.mode.configuration.based.snapshot.schema
snapshot.mode.configuration.based.start.stream snapshot.mode.custom.name snapshot.query.mode
snapshot.query.mode.custom.name snapshot.select.statement.overrides snapshot.tables.order.by.row.count
sourceinfo.struct.maker streaming.delay.ms table.exclude.list table.ignore.builtin table.include.list
time.precision.mode tombstones.on.delete topic.cache.size topic.delimiter topic.heartbeat.prefix
topic.key.enforce.uniqueness topic.key.field.name topic.key.field.regex topic.key.field.replacement
topic.naming.strategy topic.prefix topic.regex topic.replacement topic.transaction transaction.metadata.factory
unavailable.value.placeholder`;

/** Kafka Connect’s own, which stand in the same configuration. */
export const CONNECT = `
exactly.once.support key.converter tasks.max topic.creation.default.partitions
topic.creation.default.replication.factor transforms value.converter`;

export const BINLOG = `
bigint.unsigned.handling.mode binlog.buffer.size binlog.net.read.timeout binlog.net.write.timeout connect.keep.alive connect.keep.alive.interval.ms
connect.timeout.ms database.initial.statements database.jdbc.driver database.protocol database.server.id
database.server.id.offset database.ssl.keystore database.ssl.keystore.password database.ssl.mode
database.ssl.truststore database.ssl.truststore.password ddl.parser.type enable.time.adjuster
gtid.ignore.on.recovery
event.deserialization.failure.handling.mode gtid.source.excludes gtid.source.filter.dml.events
gtid.source.includes include.query inconsistent.schema.handling.mode min.row.count.to.stream.results read.only
schema.history.internal use.nongraceful.disconnect`;

export const POSTGRES = `
database.initial.statements database.sslcert database.sslfactory database.sslkey database.sslmode
database.sslpassword database.sslrootcert database.tcpKeepAlive flush.lsn.source hstore.handling.mode
include.unknown.datatypes internal.create.slot.command.timeout internal.slot.seek.to.known.offset.on.start
interval.handling.mode lsn.flush.timeout.action lsn.flush.timeout.ms message.prefix.exclude.list
message.prefix.include.list money.fraction.digits offset.mismatch.strategy plugin.name publication.autocreate.mode publication.name
publish.via.partition.root read.only replica.identity.autoset.values schema.refresh.mode slot.drop.on.stop
slot.failover slot.max.retries slot.name slot.retry.delay.ms slot.stream.params snapshot.isolation.mode
status.update.interval.ms xmin.fetch.interval.ms`;

export const ORACLE = `
archive.destination.name archive.log.hours capture.mode database.connection.adapter database.out.server.name
database.pdb.name database.url internal.log.mining.hash.area.size internal.log.mining.redo.thread.scn.adjustment
internal.log.mining.sort.area.size internal.log.mining.use.cte.query internal.log.mining.buffer.memory.legacy.transaction.start
internal.log.mining.log.backoff.initial.delay.ms internal.log.mining.log.backoff.max.delay.ms
internal.log.mining.log.query.max.retries internal.log.mining.max.scn.deviation.ms internal.log.mining.read.only
internal.log.mining.resume.position.interval.ms internal.log.mining.schema_changes.username.exclude.list
internal.log.mining.sql.relaxed.quote.detection internal.log.mining.transaction.snapshot.boundary.mode
internal.object.id.cache.size internal.snapshot.enhance.predicate.scn interval.handling.mode lob.enabled
log.mining.archive.log.only.mode log.mining.archive.log.only.scn.poll.interval.ms log.mining.batch.size.default
log.mining.batch.size.increment log.mining.batch.size.max log.mining.batch.size.min
log.mining.buffer.drop.on.stop log.mining.buffer.ehcache.events.config log.mining.buffer.ehcache.global.config
log.mining.buffer.ehcache.processedtransactions.config log.mining.buffer.ehcache.schemachanges.config
log.mining.buffer.ehcache.transactions.config log.mining.buffer.infinispan.cache.events
log.mining.buffer.infinispan.cache.global log.mining.buffer.infinispan.cache.processed_transactions
log.mining.buffer.infinispan.cache.schema_changes log.mining.buffer.infinispan.cache.transactions
log.mining.buffer.transaction.events.threshold log.mining.buffer.type log.mining.clientid.exclude.list
log.mining.clientid.include.list log.mining.continuous.mine log.mining.flush.table.name
log.mining.include.redo.sql log.mining.log.count.min log.mining.query.filter.mode log.mining.restart.connection
log.mining.scn.gap.detection.gap.size.min log.mining.scn.gap.detection.time.interval.max.ms
log.mining.session.max.ms log.mining.sleep.time.default.ms log.mining.sleep.time.increment.ms
log.mining.sleep.time.max.ms log.mining.sleep.time.min.ms log.mining.strategy
log.mining.transaction.retention.ms log.mining.username.exclude.list log.mining.username.include.list
openlogreplicator.host openlogreplicator.port openlogreplicator.source rac.nodes schema.history.internal
secondary.dbname secondary.hostname secondary.port secondary.url snapshot.database.errors.max.retries
xstream.out.server.name`;

export function namesIn(list: string): readonly string[] {
  return list.trim().split(/\s+/);
}
