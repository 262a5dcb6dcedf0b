/** A peer: a Kafka Streams application, with its library from Maven Central. */
import { mkdirSync } from 'node:fs';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars } from '../../src/local-servers/downloads.ts';
import type { Delivery } from '../headwater.ts';
import type { JoinContender } from './contender.ts';
import { compileJava, type JavaProgram, startJava } from './java-program.ts';

export const STREAMS_VERSION = '4.3.1';

/** Downloads the library once, and compiles the application into `directory`. Needs a JDK of 17 or later, and Maven. */
export async function prepareStreams(directory: string): Promise<JavaProgram> {
  const libraries = await cached(`kafka-streams-${STREAMS_VERSION}`, (dir) =>
    fetchJars(dir, [
      `org.apache.kafka:kafka-streams:${STREAMS_VERSION}`,
      'com.fasterxml.jackson.core:jackson-databind:2.18.2',
      'org.slf4j:slf4j-nop:1.7.36',
    ]),
  );
  return compileJava('JoinApp', libraries, directory);
}

export function streamsJoin(program: JavaProgram, delivery: Delivery, rekeyed: boolean): JoinContender {
  return {
    name: `Kafka Streams ${delivery}${rekeyed ? ', re-keyed' : ''}`,
    ours: false,
    delivery,
    rekeyed,
    start: ({ id, broker, ratings, customers, output, directory }) => {
      mkdirSync(directory, { recursive: true });
      return startJava(program, {
        args: [
          ...[broker, id],
          delivery === 'exactly-once' ? 'exactly_once_v2' : 'at_least_once',
          rekeyed ? 'rekey' : 'keep',
          ...[ratings, customers, output],
        ],
        log: 'kafka-streams.log',
        directory,
      });
    },
  };
}
