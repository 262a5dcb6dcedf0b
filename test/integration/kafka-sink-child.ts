/**
 * A pipeline of its own process, to be killed or stopped: commits once, then goes on appending and never commits
 * again. With a third argument, at least once: small records as fast as they are taken, until it is told to end.
 */
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { SILENT } from '../../src/observability/log.ts';

const [broker = '', name = '', session = ''] = process.argv.slice(2);
const sink = await openKafkaSink(
  {
    name,
    brokers: [broker],
    topics: { partitions: 1 },
    ...(session === '' ? {} : { delivery: 'at-least-once' as const, sessionTimeoutMs: Number(session) }),
  },
  SILENT,
);
await sink.restore({ onWaiting: () => {}, signal: new AbortController().signal });
const topic = await sink.topic(`${name}.t`, 'table');
const record = (value: string) => ({ key: '1', value, headers: null, timestamp: Date.now() });
sink.append(topic, record('committed'));
await sink.commit(new Map([['position', '1']]));
if (session !== '') {
  process.stdout.write('going\n');
  const why = await Promise.race([sink.failed.catch((error: unknown) => error), writeOn()]);
  await sink[Symbol.asyncDispose]();
  process.stdout.write(`${why instanceof HeadwaterError ? why.code : String(why)}\n`);
  process.exit(0);
}

async function writeOn(): Promise<void> {
  for (let i = 0; ; i++) {
    sink.append(topic, record(`child ${i}`));
    await sink.commit(new Map([['position', String(i)]]));
  }
}

const filler = 'x'.repeat(100_000);
for (let i = 0; ; i++) {
  sink.append(topic, record(filler + i));
  await sink.ready();
  if (i === 60) process.stdout.write('going\n');
  await new Promise((resolve) => setTimeout(resolve, i < 60 ? 0 : 20));
}
