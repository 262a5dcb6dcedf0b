/** A pipeline of its own process, to be killed: commits once, then goes on appending and never commits again. */
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { SILENT } from '../../src/observability/log.ts';

const [broker = '', name = ''] = process.argv.slice(2);
const sink = await openKafkaSink({ name, brokers: [broker], topics: { partitions: 1 } }, SILENT);
await sink.restore({ onWaiting: () => {}, signal: new AbortController().signal });
const topic = await sink.topic(`${name}.t`, 'table');
const record = (value: string) => ({ key: '1', value, headers: null, timestamp: Date.now() });
sink.append(topic, record('committed'));
await sink.commit(new Map([['position', '1']]));
const filler = 'x'.repeat(100_000);
for (let i = 0; ; i++) {
  sink.append(topic, record(filler + i));
  await sink.ready();
  if (i === 60) process.stdout.write('going\n');
  await new Promise((resolve) => setTimeout(resolve, i < 60 ? 0 : 20));
}
