/** Where the fields of a record batch of magic 2 stand: https://kafka.apache.org/documentation/#recordbatch */
export const BATCH_HEADER_BYTES = 61;
export const AT_LENGTH = 8;
/** What the length counts begins here. */
export const AT_LEADER_EPOCH = 12;
export const AT_MAGIC = 16;
export const AT_CRC = 17;
/** What the checksum is of begins here. */
export const AT_ATTRIBUTES = 21;
export const AT_LAST_OFFSET = 23;
export const AT_BASE_TIMESTAMP = 27;
export const AT_MAX_TIMESTAMP = 35;
export const AT_PRODUCER_ID = 43;
export const AT_PRODUCER_EPOCH = 51;
export const AT_SEQUENCE = 53;
export const AT_COUNT = 57;

/** Of the attributes; their lowest three bits are the compression (COMPRESSION_BITS). */
export const TRANSACTIONAL = 1 << 4;
