/** What a benchmark is asked for and what comes of it; `--json` writes it as it is. */
import type { PeerName } from './debezium.ts';
import type { Floor } from './floor.ts';
import type { LatencyRun } from './latency.ts';
import type { Machine } from './machine.ts';
import type { ChangeLogCounts, Identity, Product } from './source.ts';
import type { StartUpRun } from './start-up.ts';
import type { ThroughputRun } from './throughput.ts';

export const SCENARIOS = ['snapshot', 'startup', 'latency', 'catchup', 'floors'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface ContestOptions {
  readonly product: Product;
  readonly rows: number;
  readonly only: readonly Scenario[];
  readonly peers: readonly PeerName[];
  /** Leaves Headwater out: to try the peer alone. */
  readonly ours: boolean;
  readonly repeat: number;
  readonly identity: Identity;
  readonly partitions: number;
  readonly changesPerSecond: number;
  readonly latencySeconds: number;
  readonly json: string | null;
}

/** What a contender is and all its runs; absent scenarios were not asked for. */
export interface ContenderResult {
  readonly name: string;
  readonly ours: boolean;
  readonly settings: string;
  readonly snapshot: ThroughputRun[];
  readonly catchup: ThroughputRun[];
  readonly latency: LatencyRun[];
  readonly startup: StartUpRun[];
  /** One sentence for each run that came to nothing. */
  readonly failures: string[];
}

export interface ContestResult {
  readonly at: string;
  readonly machine: Machine;
  readonly options: ContestOptions;
  readonly counts: { readonly snapshot: ChangeLogCounts; readonly catchup: ChangeLogCounts };
  readonly contenders: readonly ContenderResult[];
  readonly floors: readonly Floor[];
  /** One sentence each where two contenders did not deliver the same; then no ratio is worth anything. */
  readonly disagreements: readonly string[];
}
