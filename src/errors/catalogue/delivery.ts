import type { CatalogueEntry } from './entry.ts';

/** Errors of Kafka, files, and the durable state. */
export const DELIVERY = {
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
  'delivery.topic-refused': {
    fate: 'retry',
    exit: 3,
    summary: 'Kafka refused records for one topic, which it had taken before.',
    advice:
      'Look at the topic: its ACLs, its settings (cleanup.policy, min.insync.replicas, segment.bytes), and whether it is still there. Where it stays so, its table waits and is read anew afterwards, or the statement waits whose results are in it.',
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
  'delivery.records-unreadable': {
    fate: 'retry',
    exit: 1,
    summary: 'A topic holds a batch of records that is damaged, or in a format that Headwater does not read.',
    advice:
      'Look at the batch with `kafka-dump-log.sh --deep-iteration`: mend the replica that it lies on, or let what writes such batches write others. `kafka-delete-records.sh` removes what lies before an offset.',
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
  'delivery.incomplete': {
    fate: 'halt',
    exit: 1,
    summary:
      'A run that ends by itself has delivered everything but what it had to give up of some tables or statements.',
    advice: 'The log says why for each. Mend that and start again: of the tables only those are read then.',
  },
} as const satisfies Record<string, CatalogueEntry>;
