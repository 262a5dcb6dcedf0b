import { execFile } from 'node:child_process';
import { cpus, release, totalmem, type as systemName } from 'node:os';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { CONNECT_VERSION, DEBEZIUM_VERSION } from './debezium.ts';
import type { BenchServers } from './servers.ts';

/** What the figures were measured on. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  /** Null where there is none. */
  readonly java: string | null;
  readonly postgres: string;
  readonly postgresSettings: Readonly<Record<string, string>>;
  readonly kafka: string;
  readonly debezium: string;
  readonly connect: string;
}

const TELLING_SETTINGS = ['shared_buffers', 'fsync', 'logical_decoding_work_mem', 'max_wal_size'];

export async function machine(client: Client, servers: BenchServers): Promise<Machine> {
  const { rows: versions } = await client.query<{ server_version: string }>('SHOW server_version');
  const { rows } = await client.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1) ORDER BY name',
    [TELLING_SETTINGS],
  );
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()} ${release()}`,
    node: process.version,
    java: await javaVersion(),
    postgres: versions[0]?.server_version ?? 'unknown',
    postgresSettings: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    kafka: servers.kafkaVersion,
    debezium: DEBEZIUM_VERSION,
    connect: CONNECT_VERSION,
  };
}

async function javaVersion(): Promise<string | null> {
  try {
    const { stderr } = await promisify(execFile)('java', ['-version']);
    return stderr.split('\n')[0] ?? null;
  } catch {
    return null;
  }
}
