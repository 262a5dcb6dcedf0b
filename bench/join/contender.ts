import type { DaemonProcess } from '../daemon-process.ts';
import type { Delivery } from '../headwater.ts';

export interface JoinSpec {
  /** Name of the pipeline, or of the application. */
  readonly id: string;
  /** host:port */
  readonly broker: string;
  /** Topics. */
  readonly ratings: string;
  readonly customers: string;
  readonly output: string;
  /** Of each topic. */
  readonly partitions: number;
  /** For what it leaves on disk. */
  readonly directory: string;
}

export interface JoinContender {
  readonly name: string;
  readonly ours: boolean;
  readonly delivery: Delivery;
  /** Whether ratings lie by their own id, and not by the customer's. */
  readonly rekeyed: boolean;
  start(spec: JoinSpec): DaemonProcess;
}
