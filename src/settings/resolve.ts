import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { crc32 } from 'node:zlib';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { SettingsDocument } from './document.ts';
import { errnoReason } from './errno.ts';
import { durationInMs, sizeInBytes } from './leaves.ts';
import {
  DEFAULT_LISTEN,
  DEFAULT_SQL_LISTEN,
  formatListen,
  isLoopback,
  type ListenAddress,
  parseListen,
} from './listen.ts';
import type { Environment } from './references.ts';
import { resolveEmit } from './resolve-emit.ts';
import { PLAIN_TEXT, resolveTls } from './resolve-tls.ts';
import { resolvePoll } from './resolve-poll.ts';
import type { FileShape } from './schema.ts';
import { Secret } from './secret.ts';
import type {
  EnrichSettings,
  HttpSettings,
  ListenSettings,
  Settings,
  SourceSettings,
  TlsSettings,
} from './settings.ts';
import { parseSourceUrl } from './source-url.ts';
import { resolveOutbox, resolveTables } from './resolve-transforms.ts';

export interface ResolveContext {
  readonly document: SettingsDocument;
  /** Relative paths are relative to it. */
  readonly directory: string;
  readonly environment: Environment;
}

/**
 * From what the schema has let through to Settings: URLs and files are read, names derived, and what only the
 * combination of keys can get wrong is noted as problems of the document. The result counts only if there are none.
 */
export async function resolveSettings(shape: FileShape, context: ResolveContext): Promise<Settings> {
  const { document, directory, environment } = context;
  const { name, snapshot } = shape;
  const enrich = await resolveEnrich(shape, context);
  return {
    file: document.file,
    fingerprint: hash('sha256', JSON.stringify([shape, enrich])),
    name,
    source: await resolveSource(shape, context),
    snapshot: {
      mode: snapshot.mode,
      parallelism: snapshot.parallelism,
      chunkRows: snapshot.chunk_rows,
      where: new Map(Object.entries(snapshot.where)),
      walLimitBytes: sizeInBytes(snapshot.wal_limit),
    },
    emit: await resolveEmit(shape, context),
    tables: resolveTables(shape, document),
    outbox: resolveOutbox(shape, document),
    enrich,
    http: resolveHttp(shape, document),
    stateDir: resolvePath(directory, shape.state.dir ?? environment.STATE_DIRECTORY ?? '.headwater'),
    joinedTables: { memoryLimit: sizeInBytes(shape.state.memory_limit), durable: shape.state.durable },
    shutdownTimeoutMs: durationInMs(shape.shutdown.timeout),
  };
}

async function resolveSource({ name, source }: FileShape, context: ResolveContext): Promise<SourceSettings> {
  const { document } = context;
  const url = parseSourceUrl(source.url);
  if (typeof url === 'string')
    throw new HeadwaterError('internal.bug', 'The schema let a source.url through that cannot be read');
  const password = url.password ?? source.password ?? null;
  if (url.password !== null && source.password !== undefined) {
    document.problem(
      'settings.invalid',
      ['source', 'password'],
      'source.url holds a password and source.password is set too; keep one of them',
    );
  }
  if (url.tlsMode !== null && source.tls !== undefined) {
    document.problem(
      'settings.invalid',
      ['source', 'tls'],
      'source.url has an sslmode and there is a source.tls block too; keep one of them',
    );
  }
  checkPatterns(source.tables, document);
  checkBlocks(url.connector, document);
  if (url.connector === 'oracle') checkOracle(source, url.tlsMode, document);
  const { mysql, oracle, postgres } = source;
  const derived = `headwater_${name.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`;
  return {
    connector: url.connector,
    hosts: url.hosts,
    database: url.database ?? '',
    user: url.user,
    password: password === null ? null : new Secret(password),
    mode: source.mode,
    tables: source.tables,
    tls:
      url.tlsMode === null
        ? await resolveTls(source.tls, ['source', 'tls'], context)
        : { ...PLAIN_TEXT, mode: url.tlsMode },
    connectTimeoutMs: url.connectTimeoutMs ?? durationInMs(source.connect_timeout),
    postgres: {
      slot: postgres.slot ?? derived.slice(0, 63),
      publication: postgres.publication ?? derived.slice(0, 50),
      failover: postgres.failover,
      walBudgetBytes: postgres.wal_budget === undefined ? null : sizeInBytes(postgres.wal_budget),
    },
    mysql: {
      serverId: mysql.server_id ?? derivedServerId(name),
      includeQuery: mysql.include_query,
      zeroDates: mysql.zero_dates ?? 'null',
      unsignedOverflow: mysql.unsigned_overflow,
    },
    oracle: {
      // Unquoted names are in capitals.
      pdb: oracle.pdb?.toUpperCase() ?? null,
      strategy: oracle.strategy,
      archiveOnly: oracle.archive_only ?? null,
      archiveDestinations: oracle.archive_destinations ?? [],
      lobs: oracle.lobs,
      lobReselect: oracle.lob_reselect,
      excludeUsers: (oracle.exclude_users ?? []).map((user) => user.toUpperCase()),
      onUnreadable: oracle.on_unreadable,
      absentColumns: oracle.absent_columns,
      requireAllColumns: oracle.require_all_columns,
      flushTable: oracle.flush_table?.toUpperCase() ?? null,
      racNodes: oracle.rac_nodes ?? [],
      queryTimeoutMs: durationInMs(oracle.query_timeout),
      maxWindow: oracle.max_window,
      sessionMaxMs: durationInMs(oracle.session_time),
      sessionReconnect: oracle.session_reconnect,
      bufferBytes: sizeInBytes(oracle.buffer),
    },
    poll: resolvePoll({ source }, document),
    onGap: source.on_gap,
  };
}

const BLOCKS = {
  postgres: { of: 'PostgreSQL', connectors: ['postgresql'] },
  mysql: { of: 'MySQL and MariaDB', connectors: ['mysql', 'mariadb'] },
  oracle: { of: 'Oracle', connectors: ['oracle'] },
} as const satisfies Record<
  string,
  { readonly of: string; readonly connectors: readonly SourceSettings['connector'][] }
>;

/** A block of another database would say nothing, and look as if it did. */
function checkBlocks(connector: SourceSettings['connector'], document: SettingsDocument): void {
  const blocks = Object.entries(BLOCKS);
  const serves = (connectors: readonly string[]): boolean => connectors.includes(connector);
  const [own] = blocks.find(([, { connectors }]) => serves(connectors)) ?? [];
  for (const [name, { of, connectors }] of blocks) {
    if (serves(connectors) || !document.has(['source', name])) continue;
    document.problem(
      'settings.invalid',
      ['source', name],
      `source.${name} is for ${of} alone, and source.url names another database; remove the block, or say under source.${own} what that one needs`,
      { atKey: true },
    );
  }
}

/** What the driver's thin mode cannot do. */
function checkOracle(
  { tls }: FileShape['source'],
  tlsMode: TlsSettings['mode'] | null,
  document: SettingsDocument,
): void {
  if (tls?.cert !== undefined && tls.ca === undefined) {
    document.problem(
      'settings.invalid',
      ['source', 'tls'],
      'Oracle’s driver trusts nobody else’s servers where it has a certificate of its own: with source.tls.cert set source.tls.ca too',
    );
  }
  if ((tlsMode ?? tls?.mode) !== 'require') return;
  document.problem(
    'settings.invalid',
    ['source', tlsMode === null ? 'tls' : 'url'],
    'require encrypts without checking who answers, which Oracle’s driver does not do; use verify-ca or verify-full, with source.tls.ca',
  );
}

/** What ends in .sql and has no blank in it is a file's name. */
async function resolveEnrich({ enrich }: FileShape, context: ResolveContext): Promise<EnrichSettings | null> {
  if (enrich === undefined) return null;
  const { document, directory } = context;
  const texts = await Promise.all(
    enrich.sql.map(async (entry, i) => {
      const name = `enrich.sql[${i}]`;
      if (!/^\S+\.sql$/.test(entry)) return { name: `${document.file}, ${name}`, text: entry };
      try {
        return { name: entry, text: await readFile(resolvePath(directory, entry), 'utf8') };
      } catch (error) {
        const reason = errnoReason(error);
        document.problem('settings.invalid', ['enrich', 'sql', i], `${name}: ${entry}: ${reason}`);
        return { name, text: '' };
      }
    }),
  );
  const { skew, max_wait: maxWait } = enrich.join;
  return {
    texts,
    dialect: enrich.dialect,
    shared: enrich.shared,
    join: {
      skewMs: durationInMs(skew),
      maxWaitMs: maxWait === 'unlimited' ? Infinity : durationInMs(maxWait),
    },
  };
}

/** The same at every start, different for other names, and above the small numbers that people give to replicas. */
function derivedServerId(name: string): number {
  return 1_000_000_000 + (crc32(name) % 1_000_000_000);
}

function checkPatterns(patterns: readonly string[], document: SettingsDocument): void {
  for (const [index, pattern] of patterns.entries()) {
    const path = ['source', 'tables', index];
    const positive = pattern.replace(/^!/, '');
    if (positive.startsWith('/') && positive.length > 1 && positive.endsWith('/')) {
      if (!isRegularExpression(positive.slice(1, -1))) {
        document.problem('settings.invalid', path, `source.tables[${index}] is not a regular expression`);
      }
    } else if (!positive.includes('.')) {
      document.problem(
        'settings.invalid',
        path,
        `source.tables[${index}] has to be schema.table, such as public.orders or public.*`,
      );
    }
  }
  if (patterns.every((pattern) => pattern.startsWith('!'))) {
    document.problem(
      'settings.invalid',
      ['source', 'tables'],
      'source.tables only excludes; begin with what is to be captured, such as public.*',
    );
  }
}

function isRegularExpression(source: string): boolean {
  try {
    return new RegExp(source).source !== '';
  } catch {
    return false;
  }
}

function resolveHttp({ http }: FileShape, document: SettingsDocument): HttpSettings {
  const token = http.token === undefined ? null : new Secret(http.token);
  const address = (key: 'listen' | 'sql', otherwise: ListenAddress): ListenSettings => {
    const text = http[key];
    if (text === undefined) return { listen: otherwise, explicit: false };
    if (text === 'off') return { listen: null, explicit: true };
    const listen = parseListen(text);
    if (listen === null) {
      document.problem(
        'settings.invalid',
        ['http', key],
        `http.${key} has to be host:port such as ${formatListen(otherwise)}, or off`,
      );
    } else if (!isLoopback(listen.host) && token === null) {
      document.problem(
        'settings.invalid',
        ['http', key],
        `http.${key} can be reached from other machines, and http.token is not set`,
        { fix: 'Set http.token (best as ${file:…} or ${env:…}), or listen on 127.0.0.1.' },
      );
    }
    return { listen, explicit: true };
  };
  return {
    ...address('listen', DEFAULT_LISTEN),
    token,
    sql: address('sql', DEFAULT_SQL_LISTEN),
    sqlChanges: http.sql_changes,
  };
}
