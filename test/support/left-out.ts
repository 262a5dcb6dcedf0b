/** Which tests this machine cannot run at all. With CI=true none is left out: they run, and fail saying why. */
import { isCached } from '../../src/local-servers/cache.ts';
import { engineRuns } from '../../src/local-servers/containers.ts';
import { onPath } from '../../src/local-servers/processes.ts';
import { findChromium } from './chromium.ts';
import { withoutPythonClient } from './ksqldb-python.ts';

export interface LeftOut {
  /** Which test files, as a glob. */
  readonly pattern: string;
  /** One sentence for the end of the run. */
  readonly reason: string;
}

/** By name: `sort.mysql.mariadb.kafka.test.ts` needs three, in whatever order. */
export function filesThatNeed(what: string): string {
  return `**/*.${what}{.*,}.test.ts`;
}

export async function leftOut(): Promise<readonly LeftOut[]> {
  const found: LeftOut[] = [];
  // Nothing can start one by itself, in CI neither: its licence and its size are the operator's to accept.
  if (process.env['ORACLE_URL'] === undefined) {
    found.push({
      pattern: filesThatNeed('oracle'),
      reason:
        'Oracle is tested where ORACLE_URL and ORACLE_TEST_URL name a server: docker/compose.oracle.yaml has one.',
    });
  }
  // A browser is nobody's to fetch for a test of one page; where one is named, it has to be there.
  const browser = await withoutBrowser();
  if (browser !== null) found.push({ pattern: filesThatNeed('browser'), reason: browser });
  if (process.env['CI'] === 'true') return found;
  if (!(await onPath('systemd-analyze')) || !(await onPath('systemd-notify'))) {
    found.push({
      pattern: filesThatNeed('systemd'),
      reason:
        'The unit is judged, and told to, by systemd-analyze and systemd-notify, which come with systemd.',
    });
  }
  const kafka = await withoutKafka();
  if (kafka !== null) found.push({ pattern: filesThatNeed('kafka'), reason: kafka });
  const registry = await withoutRegistry();
  if (registry !== null) found.push({ pattern: filesThatNeed('registry'), reason: registry });
  const python = await withoutPythonClient();
  if (python !== null) found.push({ pattern: filesThatNeed('python'), reason: python });
  const postgres = await withoutPostgres();
  if (postgres !== null) found.push({ pattern: filesThatNeed('postgres'), reason: postgres });
  for (const product of ['mysql', 'mariadb'] as const) {
    const reason = await withoutMysql(product);
    if (reason !== null) found.push({ pattern: filesThatNeed(product), reason });
  }
  return found;
}

async function withoutBrowser(): Promise<string | null> {
  if ((await findChromium()) !== null) return null;
  return 'The status page is tested where Chromium is installed (Debian: apt-get install chromium), or TEST_CHROMIUM names one.';
}

async function withoutMysql(product: 'mysql' | 'mariadb'): Promise<string | null> {
  const address = `TEST_${product.toUpperCase()}_URL`;
  if (process.env[address] !== undefined) return null;
  const asNobody = process.getuid?.() !== 0 || (await onPath('setpriv'));
  const tree = `debian-${product === 'mysql' ? 'sid' : 'trixie'}-${product}-server-core`;
  if (asNobody && ((await isCached(tree)) || (await onPath('apt-get')))) return null;
  if (await engineRuns()) return null;
  return `${product === 'mysql' ? 'MySQL' : 'MariaDB'} comes by Debian's apt-get (and, as root, needs setpriv), or by a container engine; or give ${address}.`;
}

async function withoutKafka(): Promise<string | null> {
  if (process.env['TEST_KAFKA'] !== undefined) return null;
  if (await onPath('java')) {
    if ((await isCached('kafka-4.3.1')) || (await onPath('mvn'))) return null;
  }
  if (await engineRuns()) return null;
  return 'Kafka needs Java 17 and, once, Maven; or a container engine; or TEST_KAFKA=host:port.';
}

async function withoutRegistry(): Promise<string | null> {
  if (process.env['TEST_REGISTRY_URL'] !== undefined) return null;
  if (await onPath('java')) {
    if ((await isCached('apicurio-3.0.9')) || (await onPath('mvn'))) return null;
  }
  if (await engineRuns()) return null;
  return 'The schema registry needs Java 17 and, once, Maven; or a container engine; or TEST_REGISTRY_URL.';
}

async function withoutPostgres(): Promise<string | null> {
  if (process.env['TEST_POSTGRES_URL'] !== undefined) return null;
  if (process.getuid?.() !== 0 || (await onPath('setpriv'))) return null;
  if (await engineRuns()) return null;
  return 'PostgreSQL refuses to run as root and there is no setpriv; or give TEST_POSTGRES_URL.';
}
