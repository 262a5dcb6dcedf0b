/**
 * The requests we send and the versions of each that the client library speaks. The newest that both sides
 * know is used, so that one build works with Kafka 2.5 and with 4.x. All versions of a request share the
 * argument list and response shape of the newest (the library takes care of it).
 */
import {
  type API,
  addPartitionsToTxnV0,
  addPartitionsToTxnV1,
  addPartitionsToTxnV2,
  addPartitionsToTxnV3,
  consumerGroupDescribeV0,
  createTopicsV5,
  createTopicsV6,
  createTopicsV7,
  deleteTopicsV4,
  deleteTopicsV5,
  deleteTopicsV6,
  describeConfigsV1,
  describeConfigsV2,
  describeConfigsV3,
  describeConfigsV4,
  describeGroupsV3,
  describeGroupsV4,
  describeGroupsV5,
  describeProducersV0,
  describeTransactionsV0,
  findCoordinatorV1,
  findCoordinatorV2,
  findCoordinatorV3,
  findCoordinatorV4,
  heartbeatV3,
  heartbeatV4,
  initProducerIdV0,
  initProducerIdV1,
  initProducerIdV2,
  initProducerIdV3,
  initProducerIdV4,
  joinGroupV5,
  joinGroupV6,
  joinGroupV7,
  joinGroupV8,
  joinGroupV9,
  leaveGroupV3,
  leaveGroupV4,
  leaveGroupV5,
  listGroupsV3,
  listGroupsV4,
  listGroupsV5,
  listOffsetsV4,
  listOffsetsV5,
  listOffsetsV6,
  listOffsetsV7,
  metadataV8,
  metadataV9,
  metadataV10,
  metadataV11,
  metadataV12,
  syncGroupV3,
  syncGroupV4,
  syncGroupV5,
} from '@platformatic/kafka';

export interface Versioned<Args extends unknown[], Result> {
  readonly key: number;
  /** Ascending. */
  readonly versions: readonly API<Args, Result>[];
}

function versioned<Args extends unknown[], Result>(
  newest: { readonly api: API<Args, Result> },
  older: readonly { readonly api: { readonly key: number; readonly version: number } }[],
): Versioned<Args, Result> {
  // The older ones differ from the newest only in fields that we do not read.
  const rest = older.map((each) => each.api as unknown as API<Args, Result>);
  return { key: newest.api.key, versions: [...rest, newest.api] };
}

export const METADATA = versioned(metadataV12, [metadataV8, metadataV9, metadataV10, metadataV11]);
export const FIND_COORDINATOR = versioned(findCoordinatorV4, [
  findCoordinatorV1,
  findCoordinatorV2,
  findCoordinatorV3,
]);
export const INIT_PRODUCER_ID = versioned(initProducerIdV4, [
  initProducerIdV0,
  initProducerIdV1,
  initProducerIdV2,
  initProducerIdV3,
]);
/** From version 4 on the request is for brokers, not clients. */
export const ADD_PARTITIONS = versioned(addPartitionsToTxnV3, [
  addPartitionsToTxnV0,
  addPartitionsToTxnV1,
  addPartitionsToTxnV2,
]);
export const CREATE_TOPICS = versioned(createTopicsV7, [createTopicsV5, createTopicsV6]);
export const DELETE_TOPICS = versioned(deleteTopicsV6, [deleteTopicsV4, deleteTopicsV5]);
export const DESCRIBE_CONFIGS = versioned(describeConfigsV4, [
  describeConfigsV1,
  describeConfigsV2,
  describeConfigsV3,
]);
export const LIST_OFFSETS = versioned(listOffsetsV7, [listOffsetsV4, listOffsetsV5, listOffsetsV6]);
export const JOIN_GROUP = versioned(joinGroupV9, [joinGroupV5, joinGroupV6, joinGroupV7, joinGroupV8]);
export const SYNC_GROUP = versioned(syncGroupV5, [syncGroupV3, syncGroupV4]);
export const HEARTBEAT = versioned(heartbeatV4, [heartbeatV3]);
export const LEAVE_GROUP = versioned(leaveGroupV5, [leaveGroupV3, leaveGroupV4]);
/** Since Kafka 3.0 (KIP-664). */
export const DESCRIBE_PRODUCERS = versioned(describeProducersV0, []);
export const DESCRIBE_TRANSACTIONS = versioned(describeTransactionsV0, []);
export const DESCRIBE_GROUPS = versioned(describeGroupsV5, [describeGroupsV3, describeGroupsV4]);
/** The kind of a group is told from version 5 on: before there is only the classic one. */
export const LIST_GROUPS = versioned(listGroupsV5, [listGroupsV3, listGroupsV4]);
/** Groups of KIP-848, since Kafka 3.7. */
export const DESCRIBE_CONSUMER_GROUPS = versioned(consumerGroupDescribeV0, []);
