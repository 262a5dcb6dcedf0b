/** A peer: Apache Flink SQL, with its libraries from Maven Central. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { flinkLibraries } from '../../test/support/flink-libraries.ts';
import type { Delivery } from '../headwater.ts';
import type { JoinContender, JoinSpec } from './contender.ts';
import { compileJava, type JavaProgram, startJava } from './java-program.ts';

/** Downloads Flink once, and compiles what starts it into `directory`. Needs a JDK of 17 or later, and Maven. */
export async function prepareFlink(directory: string): Promise<JavaProgram> {
  return compileJava('FlinkScript', await flinkLibraries(), directory);
}

/** JobManager and TaskManager share one process, which costs less than a cluster of two. */
export function flinkJoin(program: JavaProgram, delivery: Delivery, rekeyed: boolean): JoinContender {
  return {
    name: `Flink ${delivery}${rekeyed ? ', re-keyed' : ''}`,
    ours: false,
    delivery,
    rekeyed,
    start: (spec) => {
      mkdirSync(spec.directory, { recursive: true });
      const file = join(spec.directory, 'join.sql');
      writeFileSync(file, script(spec, delivery));
      return startJava(program, {
        args: [file, ...settings(spec, delivery)],
        log: 'flink.log',
        directory: spec.directory,
      });
    },
  };
}

/**
 * State on the heap, which is Flink's default and its fastest. Without object reuse rows are copied between operators,
 * which this job does not need. Exactly once, results are visible when a checkpoint ends: one a second, where a
 * minute is usual, so that waiting for the last one is no part of the figures.
 */
function settings({ directory, partitions }: JoinSpec, delivery: Delivery): readonly string[] {
  const exactly = delivery === 'exactly-once';
  return Object.entries({
    'parallelism.default': String(Math.min(partitions, availableParallelism())),
    'pipeline.object-reuse': 'true',
    'execution.checkpointing.mode': exactly ? 'EXACTLY_ONCE' : 'AT_LEAST_ONCE',
    'execution.checkpointing.interval': exactly ? '1 s' : '10 s',
    'execution.checkpointing.dir': `file://${join(directory, 'checkpoints')}`,
    'io.tmp.dirs': directory,
    'table.local-time-zone': 'UTC',
  }).map(([key, value]) => `${key}=${value}`);
}

/** The join that Flink's manual gives for a stream and the versions of a table: by the time of the event. */
function script({ id, broker, ratings, customers, output }: JoinSpec, delivery: Delivery): string {
  const kafka = (connector: string, topic: string, more: Readonly<Record<string, string>>): string =>
    Object.entries({ connector, topic, 'properties.bootstrap.servers': broker, ...more })
      .map(([key, value]) => `'${key}' = '${value}'`)
      .join(', ');
  const read = { 'properties.isolation.level': 'read_committed' };
  const exactly = {
    'sink.delivery-guarantee': 'exactly-once',
    'sink.transactional-id-prefix': id,
    'properties.transaction.timeout.ms': '600000',
  };
  return `CREATE TABLE ratings (
  rating_id BIGINT, user_id STRING, stars INT, message STRING,
  made TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR made AS made
) WITH (${kafka('kafka', ratings, { ...read, format: 'json', 'scan.startup.mode': 'earliest-offset' })});
CREATE TABLE customers (
  id STRING, name STRING, email STRING, club STRING,
  since TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR since AS since,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (${kafka('upsert-kafka', customers, { ...read, 'key.format': 'raw', 'value.format': 'json', 'value.fields-include': 'EXCEPT_KEY' })});
CREATE TABLE joined (
  user_id STRING, rating_id BIGINT, stars INT, name STRING, club STRING
) WITH (${kafka('kafka', output, {
    'key.format': 'raw',
    'key.fields': 'user_id',
    'value.format': 'json',
    'value.fields-include': 'EXCEPT_KEY',
    'properties.compression.type': 'lz4',
    ...(delivery === 'exactly-once' ? exactly : { 'sink.delivery-guarantee': 'at-least-once' }),
  })});
INSERT INTO joined
SELECT r.user_id, r.rating_id, r.stars, c.name, c.club
FROM ratings AS r LEFT JOIN customers FOR SYSTEM_TIME AS OF r.made AS c ON r.user_id = c.id;
`;
}
