/** The place the contenders run in: one source, one broker, topics and slots made and removed for each run. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { topicOf, type Contender, type RunSpec } from './contender.ts';
import { startKafkaBroker } from './servers.ts';
import type { BenchSource, Identity, Product } from './source.ts';
import { startSource } from './start-source.ts';
import { countRecords, waitForRow, type WatchedTopic } from './topic-watch.ts';

export interface Lab extends AsyncDisposable {
  readonly source: BenchSource;
  readonly broker: string;
  readonly kafkaVersion: string;
  /** A topic, a name and a directory of its own. */
  newRun(contender: Contender, options: { readonly snapshot: boolean }): Promise<RunSpec>;
  watch(spec: RunSpec): WatchedTopic;
  /** Removes slot, publication, topic and directory. */
  removeRun(spec: RunSpec): Promise<void>;
  /**
   * Starts the contender, lets it deliver one row, and stops it: from then on the source keeps the log for it
   * and it has a stored position.
   * @returns the number of records it delivered
   */
  prepare(contender: Contender, spec: RunSpec, signal: AbortSignal): Promise<number>;
  /** Writes a row by itself and returns its id. */
  writeRow(): Promise<number>;
  /** How many rows `writeRow` has written. */
  singles(): number;
}

/** Ids of rows that were written by themselves are above this, and above every id of the change log. */
export const FIRST_SINGLE_ID = 1_000_000_000_000;

/** Starts the servers too. */
export async function openLab({
  product,
  partitions,
  identity,
}: {
  readonly product: Product;
  readonly partitions: number;
  readonly identity: Identity;
}): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await startSource(product, identity));
  const kafka = stack.use(await startKafkaBroker());
  const writer = await source.openWriter();
  stack.defer(() => writer.close());
  const directory = await mkdtemp(join(tmpdir(), 'headwater-bench-'));
  if (process.env['BENCH_KEEP'] === undefined)
    stack.defer(() => rm(directory, { recursive: true, force: true }));
  const admin = new Admin({ clientId: 'headwater-bench', bootstrapBrokers: [kafka.broker] });
  stack.defer(() => admin.close());
  let runs = 0;
  let singleId = FIRST_SINGLE_ID;
  const suffix = randomBytes(3).toString('hex');

  const rest = stack.move();
  const lab: Lab = {
    source,
    broker: kafka.broker,
    kafkaVersion: kafka.version,
    watch: (spec) => ({ broker: kafka.broker, topic: topicOf(spec), partitions }),
    newRun: async (contender, { snapshot }) => {
      const id = `bench_${contender.slug}_${suffix}_${++runs}`;
      const spec: RunSpec = {
        id,
        source: source.address,
        broker: kafka.broker,
        snapshot,
        directory: join(directory, id),
      };
      await admin.createTopics({ topics: [topicOf(spec)], partitions, replicas: 1 });
      return spec;
    },
    removeRun: async (spec) => {
      await source.forget(spec.id);
      await deleteTopics(admin, spec.id);
      if (process.env['BENCH_KEEP'] === undefined) await rm(spec.directory, { recursive: true, force: true });
    },
    prepare: async (contender, spec, signal) => {
      await using daemon = contender.start(spec);
      const either = AbortSignal.any([signal, daemon.ended]);
      await source.untilRead(spec.id, either);
      await deliverOne(lab, spec, either);
      await daemon.stop();
      return countRecords(lab.watch(spec), signal);
    },
    writeRow: async () => {
      await writer.insertRow(++singleId);
      return singleId;
    },
    singles: () => singleId - FIRST_SINGLE_ID,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
  return lab;
}

/**
 * Writes a row and waits until it can be read from the topic. A contender may take up the log a little after
 * its slot is there, so the row is written again until one arrives.
 */
export async function deliverOne(lab: Lab, spec: RunSpec, signal: AbortSignal): Promise<void> {
  for (;;) {
    const id = await lab.writeRow();
    const patience = AbortSignal.timeout(5000);
    try {
      await waitForRow(lab.watch(spec), id, AbortSignal.any([signal, patience]));
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!patience.aborted) throw error;
    }
  }
}

async function deleteTopics(admin: Admin, prefix: string): Promise<void> {
  const topics = (await admin.listTopics()).filter(
    (topic) => topic.startsWith(`${prefix}.`) || topic.startsWith(`headwater.${prefix}.`),
  );
  if (topics.length > 0) await admin.deleteTopics({ topics });
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
