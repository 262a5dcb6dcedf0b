import { tableName } from '../../model/table.ts';
import { failed, failedBy, ok, warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import type { TablePatterns } from '../table-patterns.ts';
import { isTransactional, type ListedTable, listTables, type Query } from './catalogue.ts';
import { mapMysqlError } from './errors.ts';
import { RETENTION_VARIABLES } from './log-gap.ts';
import { type Grants, queryIfAllowed, readGrants } from './grants.ts';
import { checkForeignKeys } from './preflight-foreign-keys.ts';
import { nameCaseFinding } from './preflight-name-case.ts';
import { checkGtids, checkLog, checkRetention, isOn, type LogSettings } from './preflight-log.ts';
import type { MysqlReaderOptions } from './settings.ts';
import { describeHosts, type MysqlConnectOptions } from './wire/connect-options.ts';
import { connectMysql } from './wire/connection.ts';
import { MysqlError } from './wire/mysql-error.ts';
import { quoteIdent, quoteTable } from './wire/quoting.ts';

/** ER_DBACCESS_DENIED_ERROR */
const DATABASE_DENIED = 1044;

interface Checked extends LogSettings {
  readonly query: Query;
  readonly grants: Grants;
}

/** Everything that can be known beforehand; changes nothing. Describes rather than throws. */
export async function preflight(
  options: MysqlReaderOptions,
  patterns: TablePatterns,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const place = describeHosts(options.connect);
  try {
    const refused = await refusedDatabase(options.connect, signal);
    await using connection = await connectMysql(
      refused === null ? options.connect : { ...options.connect, database: null },
      signal,
    );
    const query: Query = (sql) => connection.query(sql, signal);
    findings.push(ok('connection', `Connected to ${place} as ${options.connect.user}.`));
    if (refused !== null) findings.push(mayNotUse(refused, await readGrants(query)));
    const checked: Checked = {
      query,
      options,
      server: connection.server,
      variables: await readVariables(query),
      grants: await readGrants(query),
      findings,
    };
    checkServer(checked);
    checkLog(checked);
    checkGtids(checked);
    checkRetention(checked);
    await checkReplica(checked);
    await checkPrivileges(checked);
    const tables = await checkTables(checked, patterns, place);
    if (tables !== null) {
      checkSnapshot(checked, tables);
      const cascades = await checkForeignKeys(query, tables);
      if (cascades !== null) findings.push(cascades);
      const spelled = nameCaseFinding(checked.variables.get('lower_case_table_names'), tables);
      if (spelled !== null) findings.push(spelled);
    }
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapMysqlError(error, `Checking ${place}`);
    findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'checks'));
  }
  return findings;
}

const VARIABLES = [
  'basedir',
  'binlog_annotate_row_events',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'binlog_rows_query_log_events',
  'gtid_mode',
  'log_bin',
  'log_replica_updates',
  'log_slave_updates',
  'lower_case_table_names',
  'server_id',
  ...RETENTION_VARIABLES,
];

async function readVariables(query: Query): Promise<ReadonlyMap<string, string>> {
  const names = VARIABLES.map((name) => `'${name}'`).join(', ');
  const rows = await query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names})`);
  return new Map(rows.map(([name, value]) => [(name ?? '').toLowerCase(), value ?? '']));
}

/** The database of source.url, where the user may not use it: the server then refuses the whole connection. */
async function refusedDatabase(connect: MysqlConnectOptions, signal: AbortSignal): Promise<string | null> {
  if (connect.database === null) return null;
  try {
    await using _ = await connectMysql(connect, signal);
    return null;
  } catch (error) {
    // Whatever else is wrong shows when it is tried without a database.
    return error instanceof MysqlError && error.errno === DATABASE_DENIED ? connect.database : null;
  }
}

function mayNotUse(database: string, { account }: Grants): Finding {
  return failed(
    'database',
    'source.privilege-missing',
    `The user ${account} may not use the database ${database} that source.url names.`,
    `GRANT SELECT ON ${quoteIdent(database)}.* TO ${account}; or leave the database out of source.url, which needs none.`,
  );
}

function checkServer({ server, options, variables, findings }: Checked): void {
  const product = server.flavour === 'mysql' ? 'MySQL' : 'MariaDB';
  const { version } = server;
  const text = `${product} ${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
  if (server.flavour !== options.connector) {
    findings.push(
      failed(
        'version',
        'source.version-unsupported',
        `The server is ${text}, and source.url says ${options.connector}.`,
        `Begin source.url with ${server.flavour}://.`,
      ),
    );
  } else if (version < (server.flavour === 'mysql' ? 50_600 : 100_400)) {
    const oldest = server.flavour === 'mysql' ? 'MySQL 5.6' : 'MariaDB 10.11';
    findings.push(
      failed(
        'version',
        'source.version-unsupported',
        `${text} is too old: ${oldest} and later are supported.`,
      ),
    );
  } else {
    findings.push(ok('version', `${text}.`));
  }
  if (Number(variables.get('server_id')) === options.serverId) {
    findings.push(
      failed(
        'server id',
        'source.server-id-clash',
        `The server has the server id ${options.serverId} itself.`,
        'Set source.mysql.server_id to a number that no server and no other reader has.',
      ),
    );
  }
}

/** What a replica applies is in its log only with log_replica_updates. */
async function checkReplica({ query, server, grants, variables, findings }: Checked): Promise<void> {
  const logged = variables.get('log_replica_updates') ?? variables.get('log_slave_updates');
  const renamed = server.flavour === 'mysql' ? server.version >= 80_022 : server.version >= 100_501;
  const replica = await queryIfAllowed(query, renamed ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS');
  if (replica === null && server.flavour === 'mariadb' && server.version >= 100_509) {
    findings.push(
      warning(
        'replica',
        'After a failover it is asked whether the new server is a replica that lags behind, and the user may not.',
        `GRANT SLAVE MONITOR ON *.* TO ${grants.account};`,
      ),
    );
  }
  if (logged === undefined || isOn(logged) || replica === null || replica.length === 0) return;
  findings.push(
    failed(
      'replica',
      'source.binlog-off',
      'The server is a replica with log_replica_updates off: what it applies is not in its log.',
      `In its configuration: ${variables.has('log_replica_updates') ? 'log_replica_updates' : 'log_slave_updates'} = ON; then restart it.`,
    ),
  );
}

async function checkPrivileges({ query, server, grants, findings }: Checked): Promise<void> {
  const account = grants.account;
  const missing: string[] = [];
  if (!grants.has('REPLICATION SLAVE', 'REPLICATION REPLICA')) missing.push('REPLICATION SLAVE');
  const status =
    server.flavour === 'mysql' && server.version >= 80_200 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
  if ((await queryIfAllowed(query, status)) === null) {
    missing.push(
      server.flavour === 'mariadb' && server.version >= 100_502 ? 'BINLOG MONITOR' : 'REPLICATION CLIENT',
    );
  }
  if (missing.length === 0) findings.push(ok('privileges', `The user ${account} may read the log.`));
  else {
    findings.push(
      failed(
        'privileges',
        'source.privilege-missing',
        `The user ${account} lacks ${missing.join(' and ')}.`,
        `GRANT ${missing.join(', ')} ON *.* TO ${account};`,
      ),
    );
  }
}

async function checkTables(
  { query, grants, options, findings }: Checked,
  patterns: TablePatterns,
  place: string,
): Promise<readonly ListedTable[] | null> {
  const all = await listTables(query);
  const unmatched = patterns.unmatched(all.map(({ id }) => id));
  if (unmatched.length > 0) {
    findings.push(
      failed(
        'tables',
        'settings.no-table-matches',
        `In source.tables ${unmatched.join(', ')} matches no table that ${options.connect.user} can see on ${place}.`,
        `Names are database.table. If the table is there: GRANT SELECT ON database.table TO ${grants.account};`,
      ),
    );
    return null;
  }
  const tables = all.filter(({ id }) => patterns.matches(id));
  const unreadable: ListedTable[] = [];
  for (const table of tables) {
    if ((await queryIfAllowed(query, `SELECT * FROM ${quoteTable(table.id)} LIMIT 0`)) === null)
      unreadable.push(table);
  }
  if (unreadable.length === 0) {
    findings.push(ok('tables', `${tables.length} ${tables.length === 1 ? 'table' : 'tables'} to capture.`));
    return tables;
  }
  const names = unreadable.map(({ id }) => tableName(id));
  findings.push(
    failed(
      'tables',
      'source.privilege-missing',
      `The user ${grants.account} cannot read ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}.`,
      unreadable.map(({ id }) => `GRANT SELECT ON ${quoteTable(id)} TO ${grants.account};`).join(' '),
    ),
  );
  return null;
}

/** By which way of the ladder tables will be read, and what cannot be. */
function checkSnapshot(
  { server, grants, variables, findings }: Checked,
  tables: readonly ListedTable[],
): void {
  const { account } = grants;
  const byItself = server.flavour === 'mariadb';
  const gtids = byItself || variables.get('gtid_mode')?.toUpperCase() === 'ON';
  const unlockable = byItself ? [] : tables.filter(({ id }) => !grants.hasOn(id, 'LOCK TABLES'));
  const grant = Array.from(
    new Set(unlockable.map(({ id }) => quoteIdent(id.schema))),
    (schema) => `GRANT LOCK TABLES ON ${schema}.* TO ${account};`,
  ).join(' ');
  if (unlockable.length > 0 && !gtids) {
    findings.push(
      failed(
        'snapshot',
        'snapshot.no-common-position',
        `The user ${account} may not lock ${list(unlockable)} for the moment in which a snapshot begins, and the server has no GTIDs.`,
        grant,
      ),
    );
    return;
  }
  if (byItself && !grants.has('BINLOG ADMIN', 'SUPER')) {
    findings.push(
      warning(
        'snapshot',
        'Tables are read in pieces while the stream runs: in one long transaction an ALTER TABLE would have to wait for it, unless the user may turn sql_log_bin off for the session.',
        `GRANT BINLOG ADMIN ON *.* TO ${account};`,
      ),
    );
  } else if (unlockable.length === 0) {
    findings.push(ok('snapshot', 'Tables are read at one position of the log, in several sessions.'));
  } else {
    findings.push(
      warning(
        'snapshot',
        `Tables are read in pieces while the stream runs, since the user may not lock ${list(unlockable)} for a moment.`,
        grant,
      ),
    );
  }
  const keyless = tables.filter(({ key }) => key === null);
  const unlocked = keyless.filter((table) => unlockable.includes(table));
  if (unlocked.length > 0) {
    findings.push(
      warning(
        'keys',
        `${list(unlocked)} cannot be read: a table without a key has to be locked for a moment. Changes are captured.`,
        grant,
      ),
    );
  }
  const neither = keyless.filter(({ engine }) => !isTransactional(engine));
  if (neither.length > 0) {
    findings.push(
      warning(
        'keys',
        `${list(neither)} cannot be read: without a key and transactions rows are of no position of the log. Changes are captured.`,
        neither.map(({ id }) => `ALTER TABLE ${quoteTable(id)} ENGINE = InnoDB;`).join(' '),
      ),
    );
  }
}

function list(tables: readonly ListedTable[]): string {
  const names = tables.map(({ id }) => tableName(id));
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
