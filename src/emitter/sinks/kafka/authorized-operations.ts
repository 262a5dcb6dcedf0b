/** Bits of Kafka's authorized-operations fields (org.apache.kafka.common.acl.AclOperation). */
export const READ = 1 << 3;
export const WRITE = 1 << 4;
/** The broker says this where it was not asked or does not tell. */
export const NOT_TOLD = -2147483648;
