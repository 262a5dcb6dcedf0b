/** The peer: a Kafka Streams application, with its library from Maven Central. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fetchJars } from '../../src/local-servers/downloads.ts';
import { startProcess } from '../daemon-process.ts';
import { type Delivery, PROJECT_ROOT } from '../headwater.ts';
import type { JoinContender } from './contender.ts';

export const STREAMS_VERSION = '4.3.1';

/** Downloads the library and compiles the application, once. Needs a JDK of 17 or later, and Maven. */
export async function prepareStreams(): Promise<string> {
  const cache = join(PROJECT_ROOT, '.cache', 'bench');
  const done = join(cache, `streams-${STREAMS_VERSION}`);
  if (!existsSync(done)) {
    const directory = `${done}.${process.pid}`;
    await mkdir(directory, { recursive: true });
    await fetchJars(directory, [
      `org.apache.kafka:kafka-streams:${STREAMS_VERSION}`,
      'com.fasterxml.jackson.core:jackson-databind:2.18.2',
      'org.slf4j:slf4j-nop:1.7.36',
    ]);
    await rename(directory, done).catch(() => rm(directory, { recursive: true }));
  }
  const source = join(done, 'JoinApp.java');
  await copyFile(join(import.meta.dirname, 'JoinApp.java'), source);
  await promisify(execFile)('javac', ['-cp', join(done, '*'), '-d', done, source]);
  return done;
}

export function streamsApp(libraries: string, delivery: Delivery, rekey: boolean): JoinContender {
  return {
    name: `Kafka Streams ${delivery}${rekey ? ', re-keyed' : ''}`,
    ours: false,
    delivery,
    rekeyed: rekey,
    start: ({ id, broker, ratings, customers, output, directory }) => {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'kafka-streams.log'), '');
      return startProcess({
        file: 'java',
        args: [
          '-server',
          '-XX:+UseG1GC',
          '-cp',
          `${libraries}:${join(libraries, '*')}`,
          'JoinApp',
          broker,
          id,
          delivery === 'exactly-once' ? 'exactly_once_v2' : 'at_least_once',
          rekey ? 'rekey' : 'keep',
          ratings,
          customers,
          output,
        ],
        log: join(directory, 'kafka-streams.log'),
        cwd: directory,
      });
    },
  };
}
