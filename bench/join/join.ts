/**
 * `npm run bench -- join`: ratings left-joined to customers, both topics, by Headwater, by a Kafka Streams application and
 * by Flink SQL, with the ratings keyed by the customer and with ratings that have to be re-keyed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Admin } from '@platformatic/kafka';
import { startPostgres } from '../../src/local-servers/postgres.ts';
import { FLINK_VERSION } from '../../test/support/flink-libraries.ts';
import { buildHeadwater, type Delivery } from '../headwater.ts';
import { javaVersion } from '../machine.ts';
import { DEFAULT_HEAP, JVM_FLAGS } from '../jvm.ts';
import { startKafkaBroker } from '../servers.ts';
import { printTable } from '../table.ts';
import { readTopic, recordsOf } from '../topic-reader.ts';
import { type WatchedTopic, waitForRecords } from '../topic-watch.ts';
import type { JoinContender } from './contender.ts';
import type { JoinInput } from './input-worker.ts';
import { flinkJoin, prepareFlink } from './flink.ts';
import { headwaterJoin } from './ours.ts';
import { prepareStreams, STREAMS_VERSION, streamsJoin } from './streams.ts';

export const JOIN_PEERS = ['streams', 'flink'] as const;
export type JoinPeer = (typeof JOIN_PEERS)[number];

export interface JoinOptions {
  readonly ratings: number;
  readonly customers: number;
  readonly partitions: number;
  readonly repeat: number;
  readonly deliveries: readonly Delivery[];
  readonly peers: readonly JoinPeer[];
  readonly nodeFlags: readonly string[];
  readonly json: string | null;
}

interface JoinRun {
  readonly contender: string;
  /** From the start of the process to the last record visible. */
  readonly seconds: number;
  readonly recordsPerSecond: number;
  readonly cpuSeconds: number;
  readonly recordsPerCpuSecond: number;
  readonly peakRssMb: number;
  /** Of the results, in whatever order: equal for equal results. */
  readonly digest: string;
  readonly records: number;
}

/** Answers whether all contenders gave the same results. */
export async function benchJoin(options: JoinOptions, signal: AbortSignal): Promise<boolean> {
  const { ratings, customers, partitions, deliveries, repeat } = options;
  await buildHeadwater();
  const directory = await mkdtemp(join(tmpdir(), 'headwater-bench-join-'));
  await using resources = new AsyncDisposableStack();
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const [streams, flink] = await Promise.all([
    options.peers.includes('streams') ? prepareStreams(join(directory, 'streams')) : null,
    options.peers.includes('flink') ? prepareFlink(join(directory, 'flink')) : null,
  ]);
  const kafka = resources.use(await startKafkaBroker());
  const postgres = resources.use(await startPostgres({ version: 18 }));
  await postgres.query('CREATE TABLE nothing (id int PRIMARY KEY)');
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [kafka.broker] });
  resources.defer(() => admin.close());
  const topics = { customers: 'customers', keyed: 'ratings.keyed', unkeyed: 'ratings.unkeyed' };
  const input: JoinInput = {
    broker: kafka.broker,
    partitions,
    customers: { topic: topics.customers, count: customers },
    ratings: [
      { topic: topics.keyed, by: 'customer' },
      { topic: topics.unkeyed, by: 'rating' },
    ],
    ratingCount: ratings,
  };
  console.error('writing the input');
  const worker = join(import.meta.dirname, 'input-worker.ts');
  await promisify(execFile)(process.execPath, [worker, JSON.stringify(input)]);
  const contenders = [false, true].flatMap((rekeyed) =>
    deliveries.flatMap((delivery): JoinContender[] => [
      headwaterJoin(postgres.url, delivery, { rekeyed, nodeFlags: options.nodeFlags }),
      ...(streams === null ? [] : [streamsJoin(streams, delivery, rekeyed)]),
      ...(flink === null ? [] : [flinkJoin(flink, delivery, rekeyed)]),
    ]),
  );
  const records = ratings + partitions; // the last of each partition moves time on
  const runs: JoinRun[] = [];
  let number = 0;
  for (let round = 0; round < repeat; round++) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      signal.throwIfAborted();
      const id = `join_${++number}`;
      const output = `joined.${number}`;
      await admin.createTopics({ topics: [output], partitions, replicas: 1 });
      const watched: WatchedTopic = { broker: kafka.broker, topic: output, partitions };
      console.error(`${contender.name}, run ${round + 1}`);
      await using daemon = contender.start({
        id,
        broker: kafka.broker,
        ratings: contender.rekeyed ? topics.unkeyed : topics.keyed,
        customers: topics.customers,
        output,
        partitions,
        directory: join(directory, id),
      });
      const either = AbortSignal.any([signal, daemon.ended]);
      const { last } = await waitForRecords(watched, { skip: 0, records }, either);
      const { cpuSeconds, peakRssMb } = daemon.usage();
      await daemon.stop();
      const seconds = (last - daemon.startedAt) / 1_000;
      runs.push({
        contender: contender.name,
        seconds,
        recordsPerSecond: records / seconds,
        cpuSeconds,
        recordsPerCpuSecond: records / cpuSeconds,
        peakRssMb,
        ...(await resultsOf(watched, signal)),
      });
    }
  }
  const agreed = new Set(runs.map(({ digest, records }) => `${records} ${digest}`)).size === 1;
  report({ options, versions: await versions(kafka.version, options.peers), contenders, runs, agreed });
  if (options.json !== null)
    await writeFile(
      options.json,
      JSON.stringify({ at: new Date().toISOString(), options, runs, agreed }, null, 2),
    );
  return agreed;
}

async function resultsOf(
  topic: WatchedTopic,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly records: number }> {
  let records = 0;
  let digest = 0n;
  for await (const { batches, advanced } of readTopic({ ...topic, minBytes: 1, maxWaitMs: 300 }, signal)) {
    if (!advanced) break;
    for (const batch of batches) {
      for (const { key, value } of recordsOf(batch)) {
        records++;
        const { rating_id, stars, name, club } = JSON.parse(value?.toString() ?? '{}') as Record<
          string,
          unknown
        >;
        const text = JSON.stringify([key?.toString(), rating_id, stars, name, club]);
        digest += createHash('md5').update(text).digest().readBigUInt64LE(0);
      }
    }
  }
  return { records, digest: (digest & 0xffff_ffff_ffff_ffffn).toString(16) };
}

async function versions(kafka: string, peers: readonly JoinPeer[]): Promise<string> {
  const said = [`Node ${process.version}`, `Kafka ${kafka}`];
  if (peers.includes('streams')) said.push(`Kafka Streams ${STREAMS_VERSION}`);
  if (peers.includes('flink')) said.push(`Flink ${FLINK_VERSION}`);
  if (peers.length > 0)
    said.push(`${(await javaVersion()) ?? 'no Java'} ${[...DEFAULT_HEAP, ...JVM_FLAGS].join(' ')}`);
  return said.join(', ');
}

interface Report {
  readonly options: JoinOptions;
  readonly versions: string;
  readonly contenders: readonly JoinContender[];
  readonly runs: readonly JoinRun[];
  readonly agreed: boolean;
}

function report({ options, versions, contenders, runs, agreed }: Report): void {
  const { ratings, customers, partitions, repeat } = options;
  console.log(`
${ratings.toLocaleString('en')} ratings left-joined to ${customers.toLocaleString('en')} customers, from process start to the last result visible
${cpus()[0]?.model ?? ''}, ${cpus().length} cores, ${versions}; ${partitions} partitions, lz4; median of ${repeat} run(s)`);
  const median = ({ name }: JoinContender): JoinRun => {
    const own = runs.filter((run) => run.contender === name).toSorted((a, b) => a.seconds - b.seconds);
    const middle = own[(own.length - 1) >> 1];
    if (middle === undefined) throw new TypeError('Each contender has run.');
    return middle;
  };
  printTable(
    ['', 'seconds', 'records/s', 'CPU s', 'records/CPU s', 'peak MB'],
    contenders.map((contender) => {
      const run = median(contender);
      return [
        contender.name,
        run.seconds.toFixed(2),
        Math.round(run.recordsPerSecond),
        run.cpuSeconds.toFixed(2),
        Math.round(run.recordsPerCpuSecond),
        Math.round(run.peakRssMb),
      ];
    }),
  );
  if (!agreed) {
    console.log('\nNOT THE SAME RESULTS, so no ratios:');
    for (const { contender, records, digest } of runs)
      console.log(`  ${contender}: ${records} records, ${digest}`);
    return;
  }
  const ratios = contenders
    .filter(({ ours }) => ours)
    .flatMap((ours) =>
      contenders
        .filter((peer) => !peer.ours && peer.delivery === ours.delivery && peer.rekeyed === ours.rekeyed)
        .map((peer) => {
          const [a, b] = [median(ours), median(peer)];
          return [
            `${ours.name} ÷ ${peer.name}`,
            `${(a.recordsPerSecond / b.recordsPerSecond).toFixed(2)} ×`,
            `${(a.recordsPerCpuSecond / b.recordsPerCpuSecond).toFixed(2)} ×`,
            `${(a.peakRssMb / b.peakRssMb).toFixed(2)} ×`,
          ];
        }),
    );
  console.log('');
  if (ratios.length > 0) printTable(['', 'records/s', 'records/CPU s', 'peak memory'], ratios);
}
