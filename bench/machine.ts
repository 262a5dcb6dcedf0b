import { execFile } from 'node:child_process';
import { cpus, release, totalmem, type as systemName } from 'node:os';
import { promisify } from 'node:util';
import { CONNECT_VERSION, DEBEZIUM_VERSIONS } from './debezium.ts';
import type { Lab } from './lab.ts';

/** What the figures were measured on. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  /** Null where there is none. */
  readonly java: string | null;
  /** Product, version and telling settings of the database. */
  readonly source: string;
  readonly kafka: string;
  readonly debezium: string;
  readonly connect: string;
}

export async function machine({ source, kafkaVersion }: Lab): Promise<Machine> {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()} ${release()}`,
    node: process.version,
    java: await javaVersion(),
    source: await source.describe(),
    kafka: kafkaVersion,
    debezium: DEBEZIUM_VERSIONS[source.address.product],
    connect: CONNECT_VERSION,
  };
}

export async function javaVersion(): Promise<string | null> {
  try {
    const { stderr } = await promisify(execFile)('java', ['-version']);
    return stderr.split('\n')[0] ?? null;
  } catch {
    return null;
  }
}
