/** The reference implementation reads what the sink writes: Kafka's own console consumer. */
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import type { Sink } from '../../src/emitter/sink.ts';
import { SILENT } from '../../src/observability/log.ts';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars, KAFKA_VERSION } from '../../src/local-servers/downloads.ts';
import { run } from '../../src/local-servers/processes.ts';
import { testKafka } from '../support/servers.ts';

const opened: Sink[] = [];

afterEach(async () => {
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
});

it('is read by the Java client in every compression, committed records only', async () => {
  const { brokers, prefix } = await testKafka();
  const libraries = await cached(`kafka-tools-${KAFKA_VERSION}`, (dir) =>
    fetchJars(dir, [`org.apache.kafka:kafka-tools:${KAFKA_VERSION}`]),
  );
  const records = 400;
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const name = `${prefix}java-${compression}`;
    const sink = await openKafkaSink(
      { name, brokers: [brokers], producer: { compression, batchBytes: 150_000 }, topics: { partitions: 3 } },
      SILENT,
    );
    opened.push(sink);
    await sink.restore({ onWaiting: () => {}, signal: new AbortController().signal });
    const topic = await sink.topic(`${name}.t`, 'table');
    for (let i = 0; i < records; i++) {
      sink.append(topic, {
        key: `{"id":${i}}`,
        value: `${compression}-${i} žluť ${'ab'.repeat(600)}`,
        headers: [['h', 'ü']],
        timestamp: 1_700_000_000_000 + i,
      });
    }
    await sink.commit(new Map([['position', '1']]));
    // Enough for some of it to be on the broker, never committed.
    for (let i = 0; i < records; i++) {
      sink.append(topic, { key: null, value: 'x'.repeat(2000), headers: null, timestamp: 0 });
      if (i % 50 === 0) await sink.ready();
    }
    await sink[Symbol.asyncDispose]();
  }
  const { stdout } = await run(
    'java',
    [
      ...[
        '-Dfile.encoding=UTF-8',
        '-Dstdout.encoding=UTF-8',
        '-cp',
        join(libraries, '*'),
        'org.apache.kafka.tools.consumer.ConsoleConsumer',
      ],
      ...['--bootstrap-server', brokers, '--include', `${prefix}java-.*[.]t`, '--from-beginning'],
      ...['--isolation-level', 'read_committed', '--timeout-ms', '8000'],
      ...['--formatter-property', 'print.key=true', '--formatter-property', 'print.headers=true'],
      ...['--formatter-property', 'print.timestamp=true'],
    ],
    { cwd: libraries, maxBuffer: 64 * 1024 * 1024 },
  );
  const lines = stdout.split('\n').filter((line) => line.startsWith('CreateTime:'));
  const expected: string[] = [];
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    for (let i = 0; i < records; i++) {
      expected.push(
        `CreateTime:${1_700_000_000_000 + i}\th:ü\t{"id":${i}}\t${compression}-${i} žluť ${'ab'.repeat(600)}`,
      );
    }
  }
  expect(lines.toSorted()).toEqual(expected.toSorted());
});
