/** Where the connector reads from. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { keepSecret } from './kept-secret.ts';
import {
  flag,
  listOf,
  literalName,
  milliseconds,
  needless,
  type PropertyRule,
  renamed,
  type SettingsDraft,
} from './settings-draft.ts';

type Scheme = 'postgres' | 'mysql' | 'mariadb' | 'oracle';

const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['io.debezium.connector.postgresql.PostgresConnector', 'postgres'],
  ['io.debezium.connector.mysql.MySqlConnector', 'mysql'],
  ['io.debezium.connector.mariadb.MariaDbConnector', 'mariadb'],
  ['io.debezium.connector.oracle.OracleConnector', 'oracle'],
]);

const PORTS: Readonly<Record<Scheme, string>> = {
  postgres: '5432',
  mysql: '3306',
  mariadb: '3306',
  oracle: '1521',
};

/** What depends on several properties at once: class, name, URL, password, tables. */
export function importSource(draft: SettingsDraft): void {
  const scheme = schemeOf(draft);
  importName(draft);
  importUrl(draft, scheme);
  importPassword(draft);
  importTables(draft, scheme);
}

function schemeOf(draft: SettingsDraft): Scheme {
  const connector = draft.take('connector.class');
  const scheme = SCHEMES.get(connector ?? '');
  if (scheme !== undefined) return scheme;
  throw new HeadwaterError(
    'settings.invalid',
    connector === null
      ? 'The configuration has no connector.class.'
      : `The configuration is that of ${connector}, which Headwater does not replace.`,
    { fix: `It replaces ${[...SCHEMES.keys()].join(', ')}.` },
  );
}

function importName(draft: SettingsDraft): void {
  const prefix = draft.take('topic.prefix') ?? draft.take('database.server.name');
  const name = prefix ?? draft.connector.name;
  if (name === null) draft.note(null, 'There is neither a topic.prefix nor a name: give the pipeline one.');
  draft.set(['name'], name ?? 'pipeline');
}

function importUrl(draft: SettingsDraft, scheme: Scheme): void {
  const host = draft.take('database.hostname') ?? 'localhost';
  const port = draft.take('database.port');
  const user = draft.take('database.user') ?? 'headwater';
  const database = draft.take('database.dbname') ?? '';
  const url = draft.take('database.url');
  if (url !== null) draft.note('database.url', 'is Java’s; write source.url by hand');
  const hosts = host
    .split(',')
    .map((each) => (/:\d+$/.test(each) ? each : `${each}:${port ?? PORTS[scheme]}`))
    .join(',');
  const path = scheme === 'mysql' || scheme === 'mariadb' ? '' : `/${encodeURIComponent(database)}`;
  draft.set(['source', 'url'], `${scheme}://${encodeURIComponent(user)}@${hosts}${path}`);
}

function importPassword(draft: SettingsDraft): void {
  const property = 'database.password';
  const value = draft.take(property);
  if (value === null || value === '') return;
  keepSecret(draft, { property, value, path: ['source', 'password'], variable: 'HEADWATER_SOURCE_PASSWORD' });
}

/** Whole names become plain ones, all else a regular expression; Debezium has them match without regard to case. */
function importTables(draft: SettingsDraft, scheme: Scheme): void {
  const patterns: string[] = [];
  const include = draft.take('table.include.list') ?? draft.take('table.whitelist');
  const container = scheme === 'mysql' || scheme === 'mariadb' ? 'database' : 'schema';
  const containers = draft.take(`${container}.include.list`) ?? draft.take(`${container}.whitelist`);
  if (include !== null) patterns.push(...listOf(include).map(pattern));
  else if (containers !== null) patterns.push(...listOf(containers).map(containerPattern));
  else patterns.push('*.*');
  if (include !== null && containers !== null) {
    draft.note(`${container}.include.list`, 'is not needed beside a list of tables');
  }
  for (const [property, toPattern] of [
    ['table.exclude.list', pattern],
    ['table.blacklist', pattern],
    [`${container}.exclude.list`, containerPattern],
    [`${container}.blacklist`, containerPattern],
  ] as const) {
    const excluded = draft.take(property);
    if (excluded !== null) patterns.push(...listOf(excluded).map((each) => `!${toPattern(each)}`));
  }
  draft.set(['source', 'tables'], patterns);
}

function pattern(expression: string): string {
  return literalName(expression) ?? `/${expression}/`;
}

function containerPattern(expression: string): string {
  const name = literalName(expression);
  return name === null ? `/(?:${expression})\\..*/` : `${name}.*`;
}

const TLS_MODES: Readonly<Record<string, string>> = {
  disable: 'disable',
  disabled: 'disable',
  allow: 'disable',
  prefer: 'disable',
  preferred: 'disable',
  require: 'require',
  required: 'require',
  'verify-ca': 'verify-ca',
  verify_ca: 'verify-ca',
  'verify-full': 'verify-full',
  verify_identity: 'verify-full',
};

function tlsMode(draft: SettingsDraft, property: string, value: string): void {
  const mode = TLS_MODES[value.toLowerCase()];
  if (mode === undefined) draft.note(property, 'has a value that Headwater does not know');
  else if (mode !== 'disable') draft.set(['source', 'tls', 'mode'], mode);
  else if (value.toLowerCase().startsWith('prefer') || value.toLowerCase() === 'allow') {
    draft.note(
      property,
      'falls back to plain text silently; write source.tls.mode: require if the server has TLS',
    );
  }
}

export const SOURCE_RULES: readonly PropertyRule[] = [
  { name: 'database.sslmode', apply: (draft, { property, value }) => tlsMode(draft, property, value) },
  { name: 'database.ssl.mode', apply: (draft, { property, value }) => tlsMode(draft, property, value) },
  renamed('database.sslrootcert', ['source', 'tls', 'ca']),
  renamed('database.sslcert', ['source', 'tls', 'cert']),
  {
    name: 'database.sslkey',
    apply: (draft, { property, value }) => {
      draft.set(['source', 'tls', 'key'], value);
      draft.note(property, 'has to be a PEM file; Java’s drivers read DER (PKCS#8)');
    },
  },
  {
    name: /^database\.ssl\.(keystore|truststore)(\.password|\.type)?$/,
    apply: (draft, { property }) =>
      draft.note(property, 'is a Java key store; export the certificates as PEM and name them in source.tls'),
  },
  renamed('connect.timeout.ms', ['source', 'connect_timeout'], milliseconds),
  // The connector's own must stay as they are: it may still run, and its slot is not ours to go on from.
  needless(
    'slot.name',
    'is left out: Headwater makes a slot of its own; drop this one when the connector is gone',
  ),
  needless(
    'publication.name',
    'is left out: Headwater makes publications of its own; drop this one when the connector is gone',
  ),
  renamed('slot.failover', ['source', 'postgres', 'failover'], flag),
  needless(
    'database.server.id',
    'is left out: two readers with one id cut each other off; source.mysql.server_id takes another one',
  ),
  {
    name: 'plugin.name',
    apply: (draft, { property, value }) => {
      if (value !== 'pgoutput') draft.note(property, 'is pgoutput always');
    },
  },
  {
    name: 'publication.autocreate.mode',
    apply: (draft, { property, value }) => {
      if (value !== 'filtered') {
        draft.note(
          property,
          'is filtered always: a publication for all tables breaks updates of tables without a key',
        );
      }
    },
  },
  {
    name: 'slot.drop.on.stop',
    apply: (draft, { property, value }) => {
      if (flag(value)) draft.note(property, 'has no equal: the slot stays, so that no change is missed');
    },
  },
  needless(/^slot\.(max\.retries|retry\.delay\.ms)$/, 'is not needed: connections are retried'),
  needless(
    'offset.mismatch.strategy',
    'has no equal: the slot is confirmed after the checkpoint, and one that no longer reaches it is a gap: source.on_gap',
  ),
  needless('slot.stream.params', 'has no equal: what pgoutput is asked for follows from the settings'),
  needless('internal.create.slot.command.timeout', 'is not needed'),
  needless(
    'internal.slot.seek.to.known.offset.on.start',
    'is on always: a slot that was made anew is a gap, which is told',
  ),
  needless('status.update.interval.ms', 'is not needed'),
  needless('xmin.fetch.interval.ms', 'has no equal: source.xmin is null'),
  needless(
    /^(lsn\.flush\.(mode|timeout\.ms|timeout\.action)|flush\.lsn\.source)$/,
    'is not needed: the slot moves on when records are durable',
  ),
  needless(
    'internal.log.position.check.enable',
    'is on always: a position that the server no longer has is a gap, which is told',
  ),
  needless(/^driver\..*$/, 'has no equal: there is no JDBC driver'),
  needless(/^publish\.via\.partition\.root$/, 'is on always'),
  needless(
    'heartbeat.action.query',
    'is not needed: the slot moves on an idle database too, and nothing is written',
  ),
  {
    name: 'database.sslpassword',
    apply: (draft, { property, value }) =>
      keepSecret(draft, {
        property,
        value,
        path: ['source', 'tls', 'key_passphrase'],
        variable: 'HEADWATER_TLS_KEY_PASSPHRASE',
      }),
  },
  needless(
    /^database\.(tcpKeepAlive|query\.timeout\.ms|initial\.statements|sslfactory|connection\.(?:factory\.class|timeout\.ms))$/,
    'has no equal',
  ),
  needless(/^connect\.keep\.alive(\.interval\.ms)?$/, 'is not needed'),
  needless(
    /^(?:internal\.)?signal\..*$/,
    'is not needed: snapshots are asked for by the command line, without a signal table',
  ),
  renamed('include.query', ['source', 'mysql', 'include_query'], flag),
  needless(
    /^gtid\.(?:source\.(?:includes|excludes|filter\.dml\.events)|ignore\.on\.recovery)$/,
    'has no equal: the whole GTID set is the position, so that nothing is passed over at another server',
  ),
  needless(
    /^(?:inconsistent\.schema|event\.deserialization\.failure)\.handling\.mode$/,
    'has no equal: a table that does not fit its log is described anew, one event that cannot be read stops it',
  ),
  needless(
    /^(?:binlog\.buffer\.size|binlog\.net\.(?:read|write)\.timeout|ddl\.parser\.type|use\.nongraceful\.disconnect|database\.server\.id\.offset|database\.protocol|database\.jdbc\.driver)$/,
    'is not needed: there is no JDBC driver, and transactions are not held back',
  ),
  needless(
    'replica.identity.autoset.values',
    'has no equal: no table is altered; headwater doctor prints the ALTER TABLE that is missing',
  ),
  needless('money.fraction.digits', 'has no equal: money has the digits that the server gives it'),
  needless('table.ignore.builtin', 'is not needed: tables of the system are never captured'),
  needless('connection.validation.timeout.ms', 'is not needed: source.connect_timeout bounds connecting'),
  needless('read.only', 'is so always: nothing is written to the database'),
  needless('schema.refresh.mode', 'is not needed: versions of schemas are kept with the position'),
];
