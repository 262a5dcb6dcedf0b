import type { DaemonProcess } from './daemon-process.ts';
import type { SourceAddress } from './source.ts';

/** What one run of a contender works on. */
export interface RunSpec {
  /** Unique; the prefix of its topics and the name of its slot and publication. */
  readonly id: string;
  readonly source: SourceAddress;
  readonly broker: string;
  /** Whether rows that are there at the first start are read. */
  readonly snapshot: boolean;
  /** A directory of its own: settings, offsets, logs. Started again with the same one, it goes on. */
  readonly directory: string;
}

/** A program with one set of settings. */
export interface Contender {
  /** As in the tables: `Headwater exactly-once`, `Debezium tuned`. */
  readonly name: string;
  readonly ours: boolean;
  /** Identifier for lists of slots and topics: lower case, digits and underscores. */
  readonly slug: string;
  /** One line for the report. */
  readonly settings: string;
  start(spec: RunSpec): DaemonProcess;
}

export function topicOf(spec: RunSpec): string {
  return `${spec.id}.${spec.source.schema}.orders`;
}
