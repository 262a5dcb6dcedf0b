import { isDeepStrictEqual } from 'node:util';
import { type Daemon, startDaemon } from '../../daemon/daemon.ts';
import { carryOut, changeState } from '../../daemon/requests.ts';
import { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import type { ReloadAnswer } from '../../http/admin.ts';
import { type HttpServer, type HttpServerOptions, startHttp } from '../../http/server.ts';
import { type SqlServerOptions, startSqlServer } from '../../http/sql/sql-server.ts';
import { collectorSecrets, openBatchTraces } from '../../observability/batch-traces.ts';
import type { Log } from '../../observability/log.ts';
import { createPinoLog } from '../../observability/pino-log.ts';
import { redact, rememberSecret } from '../../settings/secret.ts';
import type { HttpSettings, ListenSettings, Settings } from '../../settings/settings.ts';
import { defineCommand } from '../command.ts';
import { loadFiles, loadWithStatements } from '../load-files.ts';
import { errorsOf } from '../print-error.ts';
import { createProgress } from '../progress.ts';
import { reportToServiceManager } from '../service-manager.ts';
import { onStopSignals } from '../signals.ts';
import { VERSION } from '../version.ts';

/** A request waits this long for the pipeline to come to a transaction's end, and to begin anew. */
const REQUEST_TIMEOUT_MS = 60_000;

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'Settings files' })
      .option('until-caught-up', {
        type: 'boolean',
        default: false,
        describe: 'Snapshot, deliver the log up to where it stood at start, then end with 0',
      })
      .option('json', { type: 'boolean', default: false, describe: 'Log JSON also on a terminal' })
      .option('log-level', {
        choices: ['debug', 'info', 'warn', 'error'] as const,
        default: 'info' as const,
        describe: 'Least level to log',
      })
      .example('$0 run shop.yaml', 'Snapshot, then stream until stopped')
      .example('$0 run shop.yaml crm.yaml', 'Two pipelines in one process')
      .example('$0 run --until-caught-up shop.yaml', 'As a job')
      .epilogue(
        'SIGTERM or Ctrl-C delivers what has been read and ends; a second one ends at once. SIGHUP reads the settings files again (on a terminal it ends). Logs go to standard error.',
      ),
  async run({ files, untilCaughtUp, json, logLevel }) {
    const settings = await loadFiles(files);
    const text = process.stderr.isTTY && !json;
    const progress = createProgress(process.stderr);
    const log = createPinoLog({
      level: logLevel,
      format: text ? 'text' : 'json',
      colour: text && process.env.NO_COLOR === undefined,
      redact,
      write: (line) => progress.writeLine(line),
    });
    let daemon: Daemon | null = null;
    const status: Daemon['status'] = () => daemon?.status() ?? [];
    await using manager = reportToServiceManager({ status, log }, process.env);
    const timeoutMs = Math.max(...settings.map(({ shutdownTimeoutMs }) => shutdownTimeoutMs));
    const reload = async (): Promise<ReloadAnswer> => {
      const renewed = await loadWithStatements(files);
      const atRestart = sameHttp(settings[0]?.http, renewed[0]?.http) ? [] : ['http'];
      const answer = { ...running().reload(renewed), atRestart };
      log.info({ ...answer }, 'settings read again');
      if (atRestart.length > 0) log.warn({}, 'http is as it was until the process starts anew');
      return answer;
    };
    const signals = onStopSignals({
      timeoutMs,
      // Closing a terminal ends what runs in it.
      ...(process.stderr.isTTY
        ? {}
        : { onHangup: () => void reload().catch((error) => logErrors(log, error)) }),
      onStop: (signal) => {
        log.info({ signal }, 'stopping: what has been read is delivered first');
        manager?.stopping();
      },
      onTimeout: () =>
        log.error({ timeoutMs }, 'shutdown.timeout is over; the next start resumes at the last commit'),
    });
    for (const secret of collectorSecrets(process.env)) rememberSecret(secret);
    await using traces = await openBatchTraces(process.env, VERSION, log);
    const desk = new QueryDesk();
    const running = (): Daemon => {
      if (daemon !== null) return daemon;
      throw new HeadwaterError('request.not-running', 'The daemon is starting.');
    };
    // First, so that a port that is taken is found before anything is made at the source.
    const http = await serve(
      settings,
      {
        status,
        administration: {
          carryOut: (name, request) => carryOut(running(), name, request, REQUEST_TIMEOUT_MS),
          reload,
        },
      },
      log,
    );
    let sql: HttpServer | null = null;
    try {
      sql = await serveSql(
        settings,
        {
          status,
          desk,
          change: (pipeline, edits) => changeState(running(), pipeline, edits, REQUEST_TIMEOUT_MS),
        },
        log,
      );
      daemon = startDaemon(
        { settings, log, untilCaughtUp, desk: sql === null ? null : desk, traces, http: addressOf(http) },
        signals.stop,
      );
      progress.start(() => running().status(), log);
      const { exitCode } = await daemon.finished;
      progress.stop();
      return exitCode;
    } finally {
      progress.stop();
      await sql?.[Symbol.asyncDispose]();
      await http?.[Symbol.asyncDispose]();
      signals.dispose();
    }
  },
});

async function serve(
  settings: readonly Settings[],
  daemon: Pick<HttpServerOptions, 'status' | 'administration'>,
  log: Log,
): Promise<HttpServer | null> {
  const http = settings[0]?.http;
  if (http === undefined || http.listen === null) return null;
  const { listen } = http;
  const token = http.token?.reveal() ?? null;
  return listening('HTTP interface', http, log, () =>
    startHttp({ listen, token, version: VERSION, ...daemon, log }),
  );
}

function addressOf(server: HttpServer | null): string | null {
  if (server === null) return null;
  const { host, port } = server;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The default address is for those who have statements. */
async function serveSql(
  settings: readonly Settings[],
  daemon: Pick<SqlServerOptions, 'status' | 'desk' | 'change'>,
  log: Log,
): Promise<HttpServer | null> {
  const http = settings[0]?.http;
  if (http === undefined || http.sql.listen === null) return null;
  if (!http.sql.explicit && settings.every(({ enrich }) => enrich === null)) return null;
  const { listen } = http.sql;
  const token = http.token?.reveal() ?? null;
  return listening('SQL interface', http.sql, log, () =>
    startSqlServer({
      listen,
      token,
      version: VERSION,
      changesNeedToken: http.sqlChanges === 'token',
      ...daemon,
      log,
    }),
  );
}

async function listening(
  what: string,
  { explicit }: ListenSettings,
  log: Log,
  start: () => Promise<HttpServer>,
): Promise<HttpServer | null> {
  try {
    const server = await start();
    log.info({ host: server.host, port: server.port }, `${what} is up`);
    return server;
  } catch (thrown) {
    if (explicit) throw thrown;
    const error = asHeadwaterError(thrown);
    log.warn({ code: error.code, advice: error.advice }, `no ${what}: its default address is taken`);
    return null;
  }
}

/** Both interfaces listen, with their token, as they did at the start. */
function sameHttp(a: HttpSettings | undefined, b: HttpSettings | undefined): boolean {
  const addresses = (http: HttpSettings | undefined): unknown => [
    http?.listen,
    http?.sql.listen,
    http?.sqlChanges,
  ];
  return isDeepStrictEqual(addresses(a), addresses(b)) && a?.token?.reveal() === b?.token?.reveal();
}

/** Settings that cannot be read leave the daemon as it is. */
function logErrors(log: Log, thrown: unknown): void {
  for (const error of errorsOf(thrown)) {
    log.error({ code: error.code, advice: error.advice }, error.message);
  }
}
