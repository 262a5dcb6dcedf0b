/** Which tests this machine cannot run at all. With CI=true none is left out: they run, and fail saying why. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../src/local-servers/cache.ts';
import { engineRuns } from '../../src/local-servers/containers.ts';
import { onPath } from '../../src/local-servers/processes.ts';

export interface LeftOut {
  /** Which test files, as a glob. */
  readonly pattern: string;
  /** One sentence for the end of the run. */
  readonly reason: string;
}

export async function leftOut(): Promise<readonly LeftOut[]> {
  if (process.env['CI'] === 'true') return [];
  const found: LeftOut[] = [];
  const kafka = await withoutKafka();
  if (kafka !== null) found.push({ pattern: '**/*.kafka.test.ts', reason: kafka });
  const postgres = await withoutPostgres();
  if (postgres !== null) found.push({ pattern: '**/*.postgres{.kafka,}.test.ts', reason: postgres });
  return found;
}

async function withoutKafka(): Promise<string | null> {
  if (process.env['TEST_KAFKA'] !== undefined) return null;
  if (await onPath('java')) {
    const fetched = await readFile(join(cacheDir(), 'kafka-4.3.1/.complete')).catch(() => null);
    if (fetched !== null || (await onPath('mvn'))) return null;
  }
  if (await engineRuns()) return null;
  return 'Kafka needs Java 17 and, once, Maven; or a container engine; or TEST_KAFKA=host:port.';
}

async function withoutPostgres(): Promise<string | null> {
  if (process.env['TEST_POSTGRES_URL'] !== undefined) return null;
  if (process.getuid?.() !== 0 || (await onPath('setpriv'))) return null;
  if (await engineRuns()) return null;
  return 'PostgreSQL refuses to run as root and there is no setpriv; or give TEST_POSTGRES_URL.';
}
