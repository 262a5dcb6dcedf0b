/**
 * What a fleet of Headwater instances needs for so many databases, tables and events: arithmetic over what the
 * benchmarks have measured (docs/performance.md), and over assumptions where they have not (docs/scale.md has both).
 */

export interface Costs {
  /** Changes that one core decodes, encodes and sends in a CPU second: `bench -- postgres`, catch-up. */
  readonly eventsPerCpuSecond: number;
  /** Bytes of an event as JSON before compression: the row of the benchmark. */
  readonly bytesPerEvent: number;
  /** Of that, what goes over the wire with lz4. Assumed: it is the data's own. */
  readonly compressed: number;
  /** Bytes of log that the database sends for an event. Assumed, for a row as the benchmark's. */
  readonly logBytesPerEvent: number;
  /** Resident memory of a process under load, without pipelines. */
  readonly processMb: number;
  /** A further pipeline of the same process: connections, buffers. Assumed. */
  readonly pipelineMb: number;
  /** A captured table (schema, encoder, topic, ledger, counts) while all are read and written to. */
  readonly tableKb: number;
  /** A row of a joined table held in memory: six columns, 150 bytes as JSON. */
  readonly joinRowBytes: number;
  /** Joined tables of an instance that take more memory than this go to disk: `state.memory_limit`. */
  readonly joinLimitMb: number;
  /** Such a row on disk, and what it takes of memory even so. */
  readonly joinDiskBytes: number;
  readonly joinDiskMemoryBytes: number;
  /** Share of a core that an idle pipeline takes. */
  readonly idleCore: number;
}

export const COSTS: Costs = {
  eventsPerCpuSecond: 200_000,
  bytesPerEvent: 600,
  compressed: 0.35,
  logBytesPerEvent: 200,
  processMb: 160,
  pipelineMb: 8,
  tableKb: 35,
  joinRowBytes: 115,
  joinLimitMb: 537,
  joinDiskBytes: 115,
  joinDiskMemoryBytes: 20,
  idleCore: 0.002,
};

export interface Load {
  readonly databases: number;
  /** Of all databases together. */
  readonly tables: number;
  /** A second, of all databases together, spread evenly unless `busiest` says otherwise. */
  readonly events: number;
  /** Share of all events that the busiest database has; 1 / databases where they are even. */
  readonly busiest: number;
  /** Rows of joined tables, of all instances together. */
  readonly joinRows: number;
  /** Warm instances beyond those that work. */
  readonly standbys: number;
  /** Share of a core that may be used in the steady state: the rest is for peaks and catching up. */
  readonly use: number;
  /** Megabytes that an instance may have: more pipelines, tables or joined rows go into more instances. */
  readonly instanceMb: number;
  /** Replication factor of the topics. */
  readonly replication: number;
  /** Bytes a second that one partition takes; the busiest tables need several. */
  readonly partitionBytes: number;
}

export const DEFAULT_LOAD = {
  joinRows: 0,
  standbys: 1,
  use: 0.6,
  instanceMb: 2000,
  replication: 3,
  partitionBytes: 10_000_000,
} satisfies Partial<Load>;

export interface Fleet {
  /** That work, and that stand by. */
  readonly instances: number;
  readonly standbys: number;
  /** Cores that are busy in the steady state; each instance has one and a half for itself. */
  readonly busyCores: number;
  readonly cores: number;
  /** Of an instance at most, and of all. */
  readonly instanceMb: number;
  readonly memoryMb: number;
  /** Of all: joined tables that memory does not hold. */
  readonly diskMb: number;
  /** Bytes a second from the databases, and to Kafka before replication. */
  readonly networkIn: number;
  readonly networkOut: number;
  /** What the brokers exchange and write besides. */
  readonly replicated: number;
  /** Of table topics and state topics, and with their replicas. */
  readonly partitions: number;
  readonly replicas: number;
  /** What no number of instances mends. */
  readonly ceilings: readonly string[];
}

/** One instance is one process: its decoders share a core, compression and garbage collection take part of a second. */
const CORES_AN_INSTANCE = 1.5;

export function simulate(load: Load, costs: Costs = COSTS): Fleet {
  const { databases, tables, events } = load;
  const share = Math.max(load.busiest, 1 / databases);
  const capacity = costs.eventsPerCpuSecond * load.use;
  const busiest = events * share;
  const others = databases === 1 ? 0 : (events - busiest) / (databases - 1);
  const work = { busiest, others, databases, capacity, idle: costs.idleCore * capacity };
  const instances = Math.min(databases, Math.max(instancesByCpu(work), instancesByMemory(load, costs)));
  const pipelinesEach = Math.ceil(databases / instances);
  const tablesEach = Math.ceil(tables / databases) * pipelinesEach;
  const instanceMb =
    costs.processMb +
    costs.pipelineMb * (pipelinesEach - 1) +
    (costs.tableKb * tablesEach) / 1000 +
    joinMb(load.joinRows / instances, costs);
  const networkOut = events * costs.bytesPerEvent * costs.compressed;
  const partitions = partitionsFor(load, busiest, costs) + databases;
  return {
    instances,
    standbys: load.standbys,
    busyCores: events / costs.eventsPerCpuSecond + databases * costs.idleCore,
    cores: (instances + load.standbys) * CORES_AN_INSTANCE,
    instanceMb,
    memoryMb: instanceMb * instances + (costs.processMb + costs.pipelineMb) * load.standbys,
    diskMb: onDisk(load.joinRows / instances, costs) ? (costs.joinDiskBytes * load.joinRows) / 1e6 : 0,
    networkIn: events * costs.logBytesPerEvent,
    networkOut,
    replicated: networkOut * (load.replication - 1),
    partitions,
    replicas: partitions * load.replication,
    ceilings: ceilings({ load, busiest, instanceMb, partitions }, costs),
  };
}

function onDisk(rows: number, costs: Costs): boolean {
  return (costs.joinRowBytes * rows) / 1e6 > costs.joinLimitMb;
}

/** Memory of joined rows, with the peak before they went to disk where they did. */
function joinMb(rows: number, costs: Costs): number {
  const disk = onDisk(rows, costs);
  return disk
    ? costs.joinLimitMb + (costs.joinDiskMemoryBytes * rows) / 1e6
    : (costs.joinRowBytes * rows) / 1e6;
}

/** A pipeline is not divided: the busiest has an instance of its own where it fills one. */
function instancesByCpu(work: {
  readonly busiest: number;
  readonly others: number;
  readonly databases: number;
  readonly capacity: number;
  readonly idle: number;
}): number {
  const { databases, capacity, idle } = work;
  const busiest = work.busiest + idle;
  const each = work.others + idle;
  if (databases === 1) return 1;
  const together = Math.max(1, Math.floor(capacity / each));
  // What the instance of the busiest can take besides.
  const beside = Math.max(0, Math.floor((capacity - busiest) / each));
  return 1 + Math.max(0, Math.ceil((databases - 1 - beside) / together));
}

function instancesByMemory({ databases, tables, joinRows, instanceMb }: Load, costs: Costs): number {
  const mb = costs.pipelineMb * databases + (costs.tableKb * tables) / 1000 + joinMb(joinRows, costs);
  return Math.ceil(mb / Math.max(1, instanceMb - costs.processMb));
}

/** Each table has one, and as many more as its bytes need, with the busiest database's events spread over its tables. */
function partitionsFor(
  { databases, tables, events, partitionBytes }: Load,
  busiest: number,
  costs: Costs,
): number {
  const bytes = costs.bytesPerEvent * costs.compressed;
  const tablesEach = Math.max(1, tables / databases);
  const needed = (rate: number): number =>
    Math.max(1, Math.ceil((rate * bytes) / tablesEach / partitionBytes));
  const others = databases === 1 ? 0 : (events - busiest) / (databases - 1);
  return Math.ceil(tablesEach * needed(busiest) + (tables - tablesEach) * needed(others));
}

function ceilings(
  found: {
    readonly load: Load;
    readonly busiest: number;
    readonly instanceMb: number;
    readonly partitions: number;
  },
  costs: Costs,
): readonly string[] {
  const { load, busiest, instanceMb, partitions } = found;
  const said: string[] = [];
  if (busiest > costs.eventsPerCpuSecond) {
    said.push(
      `The busiest database writes ${Math.round(busiest)} events/s, and one decoder, which is one core, reads ${costs.eventsPerCpuSecond}: its tables have to be divided among pipelines with a slot each.`,
    );
  } else if (busiest > costs.eventsPerCpuSecond * load.use) {
    said.push(
      `The busiest database takes more than ${Math.round(load.use * 100)} % of a core: it catches up slowly after an outage.`,
    );
  }
  if (instanceMb > load.instanceMb * 1.1) {
    said.push(
      `An instance needs ${Math.round(instanceMb)} MB: one pipeline’s tables and joined rows outgrow it; divide the statements, or hand them to a stream processor.`,
    );
  }
  if (partitions * load.replication > MAX_CLUSTER_REPLICAS) {
    said.push(
      `${partitions * load.replication} partition replicas are more than one Kafka cluster should hold: route tables into fewer topics, or use several clusters.`,
    );
  }
  return said;
}

/** What a Kafka of a few dozen brokers is commonly run with at most; assumed. */
const MAX_CLUSTER_REPLICAS = 200_000;
