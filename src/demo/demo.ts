/** `headwater demo`: a database with a life of its own, the real daemon, and what arrives, as it arrives. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Daemon, startDaemon } from '../daemon/daemon.ts';
import { tailRecords } from '../daemon/tail.ts';
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import { startHttp } from '../http/server.ts';
import { type PostgresServer, startPostgres } from '../local-servers/postgres.ts';
import { freePort, whenOrphaned } from '../local-servers/processes.ts';
import { SILENT } from '../observability/log.ts';
import { formatCount } from '../observability/quantities.ts';
import { loadSettings } from '../settings/load.ts';
import type { Settings } from '../settings/settings.ts';
import { pipelineYaml, unhappyTopic } from './pipeline-file.ts';
import type { Screen } from './screen.ts';
import { live, openShop } from './shop.ts';
import { summarise } from './summary.ts';
import { type DeliveredRecord, Tally } from './tally.ts';
import { chooseTarget, firstLine, secondsSince, type Target } from './target.ts';

export interface DemoOptions {
  readonly sink: 'auto' | 'kafka' | 'files';
  /** host:port of a running Kafka. */
  readonly kafka: string | undefined;
  readonly kafkaWaitSeconds: number;
  /** How long the shop lives once the snapshot is done; Infinity until it is stopped. */
  readonly seconds: number;
  readonly version: string;
  /** How the command is called where the demo was called: `headwater`, `npm run headwater --`. */
  readonly command: string;
  readonly screen: Screen;
  /** A change on one line, with a note at its end; null for what says nothing. */
  readonly describe: (record: DeliveredRecord, note: string) => string | null;
  /** A record that is a row and no change, on one line. */
  readonly describeRow: (record: DeliveredRecord, what: string) => string;
}

const STEP_MS = 400;
const POLL_MS = 5;
/** After the last change the reader gets this much time to see it. */
const DRAIN_MS = 15_000;

/**
 * Resolves when the time is over or `stop` aborts, with nothing left behind. Throws HeadwaterError:
 * `demo.no-postgres`, `demo.no-kafka`, and what the pipeline may end with.
 */
export async function runDemo(options: DemoOptions, stop: AbortSignal): Promise<void> {
  const { screen } = options;
  try {
    await using stack = new AsyncDisposableStack();
    const dir = stack.use(await scratchDir()).path;
    screen.heading(`Headwater ${options.version}: a shop in PostgreSQL, and its changes as records`);
    screen.line('');
    const { postgres, target } = await startServers(options, { dir, stack }, stop);
    await showPipeline({ options, dir, postgres, target, stack }, stop);
    screen.note('Stopping …');
  } catch (error) {
    screen.note('');
    if (stop.aborted && !(error instanceof HeadwaterError)) {
      screen.line('Stopped before the shop was open.');
      return;
    }
    throw error;
  }
  screen.note('');
}

/** A directory that goes away with this process, however that ends. */
async function scratchDir(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-demo-'));
  // PostgreSQL may run as another user, who has to get to the data directory in here.
  await chmod(path, 0o711);
  // Servers that are just ending may still write: again, until it stays away.
  const script = 'for n in 1 2 3 4 5 6 7 8; do rm -rf "$1"; sleep 0.5; done';
  const release = whenOrphaned('sh', '-c', script, 'cleanup', path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      release();
    },
  };
}

interface Servers {
  readonly postgres: PostgresServer;
  readonly target: Target;
}

/** Both at once. */
async function startServers(
  options: DemoOptions,
  { dir, stack }: { readonly dir: string; readonly stack: AsyncDisposableStack },
  stop: AbortSignal,
): Promise<Servers> {
  const { screen } = options;
  const giveUp = new AbortController();
  const starting = AbortSignal.any([stop, giveUp.signal]);
  const began = Date.now();
  screen.note('Starting PostgreSQL, looking for Kafka …');
  const postgres = startOwnPostgres(dir, starting).then((server) => {
    stack.use(server);
    screen.line(`  from  PostgreSQL ${server.version} at ${server.url}, started in ${secondsSince(began)} s`);
    screen.note('Looking for Kafka …');
    return server;
  });
  const target = chooseTarget(
    {
      sink: options.sink,
      kafka: options.kafka,
      waitSeconds: options.kafkaWaitSeconds,
      dir,
      say: (text) => screen.line(screen.dim(`        ${text}`)),
    },
    starting,
  ).then((chosen) => {
    stack.use(chosen);
    return chosen;
  });
  try {
    const both = await Promise.all([postgres, target]);
    screen.line(`  to    ${both[1].sentence}`);
    return { postgres: both[0], target: both[1] };
  } catch (error) {
    giveUp.abort();
    await Promise.allSettled([postgres, target]);
    throw error;
  }
}

async function startOwnPostgres(dir: string, signal: AbortSignal): Promise<PostgresServer> {
  try {
    return await startPostgres({ version: 18, parentDir: dir }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const what = firstLine((error as Error).message);
    throw new HeadwaterError('demo.no-postgres', what, { cause: error });
  }
}

interface Show extends Servers {
  readonly options: DemoOptions;
  readonly dir: string;
  readonly stack: AsyncDisposableStack;
}

async function showPipeline(
  { options, dir, postgres, target, stack }: Show,
  stop: AbortSignal,
): Promise<void> {
  const { screen } = options;
  const databaseUrl = await postgres.createDatabase('shop');
  const client = new Client({ connectionString: databaseUrl, application_name: 'shop' });
  client.on('error', () => {}); // a query under way rejects by itself
  await client.connect();
  stack.defer(() => client.end());
  const rows = await openShop(client);

  // In somebody's Kafka the topics of an earlier demo, or another pipeline called shop, must stay what they are.
  const given = target.kind === 'kafka' && target.given;
  const name = given ? `shop-demo-${Date.now().toString(36).slice(-5)}` : 'shop';
  const httpPort = (await isFree(8080)) ? 8080 : await freePort();
  const file = join(dir, 'shop.yaml');
  const yaml = pipelineYaml({ name, databaseUrl, target, httpPort });
  await writeFile(file, yaml);
  screen.heading(`The pipeline: ${file}`);
  for (const line of yaml.trimEnd().split('\n')) screen.line(screen.dim(`  ${line}`));

  const [settings] = await loadSettings([file], {});
  if (settings === undefined) throw new HeadwaterError('internal.bug', 'the demo has no settings');
  const daemon = await startPipeline({ settings, options, httpPort, stack });
  screen.heading(`Running: http://127.0.0.1:${httpPort}/ shows how it goes`);
  await snapshotShown(daemon, screen, stop);
  if (stop.aborted) return;

  const tally = new Tally();
  const watched = await watch({ settings, options, tally, stack });
  // The changes' latency must not be that of a reader who is still busy with the snapshot.
  await untilOver({ daemon, stop, ms: DRAIN_MS, done: () => watched.failed() || tally.delivered.r >= rows });

  screen.heading(
    Number.isFinite(options.seconds)
      ? `Changes of the next ${options.seconds} s, as a consumer of the records sees them (Ctrl-C ends)`
      : 'Changes, as a consumer of the records sees them (Ctrl-C ends)',
  );
  const end = performance.now() + options.seconds * 1_000;
  for (let step = 0; performance.now() < end && !stop.aborted; step++) {
    if (watched.failed()) break;
    tally.wrote(await live(client, step));
    await untilOver({ daemon, stop, ms: STEP_MS, done: () => false });
  }
  await untilOver({
    daemon,
    stop: new AbortController().signal,
    ms: DRAIN_MS,
    done: () =>
      watched.failed() ||
      (tally.delivered.r >= rows &&
        tally.changesDelivered >= tally.changesWritten &&
        tally.unhappy >= tally.written.unhappy),
  });
  await watched.end();
  summarise({ tally, rows, target, given, command: options.command, screen });
}

interface Start {
  readonly settings: Settings;
  readonly options: DemoOptions;
  readonly httpPort: number;
  readonly stack: AsyncDisposableStack;
}

async function startPipeline({ settings, options, httpPort, stack }: Start): Promise<Daemon> {
  let status: Daemon['status'] = () => [];
  stack.use(
    await startHttp({
      listen: { host: '127.0.0.1', port: httpPort },
      token: null,
      version: options.version,
      status: () => status(),
      administration: null,
      log: SILENT,
    }),
  );
  const stopDaemon = new AbortController();
  const daemon = startDaemon({ settings: [settings], log: SILENT, untilCaughtUp: false }, stopDaemon.signal);
  stack.defer(async () => {
    stopDaemon.abort();
    await daemon.finished;
  });
  status = () => daemon.status();
  return daemon;
}

async function snapshotShown(daemon: Daemon, screen: Screen, stop: AbortSignal): Promise<void> {
  const current = (): ReturnType<Daemon['status']>[number] | undefined => daemon.status()[0];
  const done = (): boolean => {
    const snapshot = current()?.snapshot;
    if (snapshot == null) screen.note('  Making slot, publication and topics …');
    else
      screen.note(
        `  Snapshot: ${formatCount(snapshot.rows)} of about ${formatCount(snapshot.estimatedRows ?? 0)} rows`,
      );
    return current()?.state === 'streaming' && snapshot?.completedAt != null;
  };
  await untilOver({ daemon, stop, ms: Infinity, done });
  const snapshot = current()?.snapshot;
  if (snapshot?.completedAt == null) return;
  const ms = Date.parse(snapshot.completedAt) - Date.parse(snapshot.startedAt);
  screen.line(
    `  Snapshot: ${formatCount(snapshot.rows)} rows of ${snapshot.tablesTotal} tables in ${(ms / 1_000).toFixed(1)} s, without a lock; from here on it reads the log`,
  );
}

interface Watching {
  /** Whether reading the records back has failed; `end` throws why. */
  failed(): boolean;
  end(): Promise<void>;
}

/** Reads the delivered records back, all of them from the first, and shows the changes among them. */
async function watch({
  settings,
  options: { screen, describe, describeRow },
  tally,
  stack,
}: Omit<Start, 'httpPort'> & { readonly tally: Tally }): Promise<Watching> {
  const stopReading = new AbortController();
  const unhappy = unhappyTopic(settings.name);
  let failure: HeadwaterError | undefined;
  const reading = (async () => {
    const request = { table: null, fromBeginning: true, pollMs: POLL_MS };
    for await (const record of tailRecords(settings, request, stopReading.signal)) {
      if (record.topic === unhappy) {
        tally.sawUnhappy(record);
        screen.line(`  ${describeRow(record, 'unhappy')}`);
        continue;
      }
      const event = tally.saw(record);
      if (event === null || event.op === 'r') continue;
      const latency = event.latencyMs < 10 ? event.latencyMs.toFixed(1) : event.latencyMs.toFixed(0);
      const text = describe(record, `tx ${event.transaction}, ${latency} ms`);
      if (text !== null) screen.line(`  ${text}`);
    }
  })().catch((error: unknown) => {
    failure = asHeadwaterError(error);
  });
  const end = async (): Promise<void> => {
    stopReading.abort();
    await reading;
  };
  stack.defer(end);
  return {
    failed: () => failure !== undefined,
    async end() {
      await end();
      if (failure !== undefined) throw failure;
    },
  };
}

/** Waits until it is done, the time is over, or `stop` aborts. Throws what has ended the pipeline. */
async function untilOver({
  daemon,
  stop,
  ms,
  done,
}: {
  readonly daemon: Daemon;
  readonly stop: AbortSignal;
  readonly ms: number;
  readonly done: () => boolean;
}): Promise<void> {
  const end = performance.now() + ms;
  while (!done() && !stop.aborted && performance.now() < end) {
    const pause = sleep(Math.min(50, Math.max(0, end - performance.now())), undefined, { signal: stop });
    await Promise.race([pause.catch(() => {}), daemon.finished]);
    if (daemon.status()[0]?.state === 'failed') {
      const [error] = (await daemon.finished).errors;
      if (error !== undefined) throw error;
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((settle) => {
    server.once('error', () => settle(false));
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)));
  });
}
