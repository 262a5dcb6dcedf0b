/** Elasticsearch, one node in a process of its own: where the talks' ratings end. */
import { copyFile, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars } from '../../src/local-servers/downloads.ts';
import { requireJava } from '../../src/local-servers/java.ts';
import { freePort, run, startServerProcess } from '../../src/local-servers/processes.ts';
import { serverUser } from '../../src/local-servers/server-user.ts';

const VERSION = '7.10.2.0';
const PATIENCE_MS = 200_000;

export interface Elasticsearch extends AsyncDisposable {
  readonly url: string;
  /** JSON from the API, whatever the status; what was indexed before is found. */
  search(index: string, query?: object): Promise<{ readonly hits?: { readonly hits: readonly Hit[] } }>;
}

export interface Hit {
  readonly _id: string;
  readonly _source: Readonly<Record<string, unknown>>;
}

/** Needs Java 17 with its compiler, and Maven once for 36 MB. Throws ServerUnavailable. */
export async function startElasticsearch(): Promise<Elasticsearch> {
  await requireJava('Elasticsearch');
  const user = await serverUser('Elasticsearch');
  const libraries = await cached(`elasticsearch-${VERSION}`, (dir) =>
    fetchJars(dir, [`org.codelibs:elasticsearch-cluster-runner:${VERSION}`]),
  );
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-search-'));
  await cp(libraries, join(scratch, 'lib'), { recursive: true });
  await copyFile(join(import.meta.dirname, 'java/SearchServer.java'), join(scratch, 'SearchServer.java'));
  if (user.id !== null) await run('chown', ['-R', `${user.id.uid}:${user.id.gid}`, scratch]);
  const port = await freePort();
  const ready = Promise.withResolvers<void>();
  const [command, args] = user.wrap('java', [
    ...[
      '-Xmx320m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Des.set.netty.runtime.available.processors=false',
    ],
    ...['-cp', join(scratch, 'lib', '*'), join(scratch, 'SearchServer.java')],
    ...[join(scratch, 'node'), String(port)],
  ]);
  const logFile = join(scratch, 'log');
  const server = startServerProcess({
    command,
    args,
    cwd: scratch,
    logFile,
    orphanSignal: 'KILL',
    scratchDir: scratch,
    onOutput: (text) => {
      if (text.includes('Elasticsearch is up')) ready.resolve();
    },
  });
  const url = `http://127.0.0.1:${port}`;
  const elasticsearch: Elasticsearch = {
    url,
    async search(index, query = { match_all: {} }) {
      await fetch(`${url}/${index}/_refresh`, { method: 'POST' });
      const response = await fetch(`${url}/${index}/_search`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, size: 1000 }),
      });
      return (await response.json()) as Awaited<ReturnType<Elasticsearch['search']>>;
    },
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL'); // nothing of it is to be kept
      await rm(scratch, { recursive: true, force: true });
    },
  };
  const timer = setTimeout(
    () => ready.reject(new Error(`it did not say so within ${PATIENCE_MS / 1000} s`)),
    PATIENCE_MS,
  );
  void server.exited.then((how) => ready.reject(new Error(`it ended with ${how}`)));
  try {
    await ready.promise;
  } catch (error) {
    const log = (await run('tail', ['-n', '40', logFile]).catch(() => ({ stdout: '' }))).stdout;
    await elasticsearch[Symbol.asyncDispose]();
    throw new Error(`Elasticsearch did not start: ${(error as Error).message}\n${log}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return elasticsearch;
}
