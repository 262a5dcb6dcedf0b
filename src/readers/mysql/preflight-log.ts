/** What doctor says of the settings of the log. */
import { failed, ok, warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import { retentionSeconds } from './log-gap.ts';
import type { MysqlReaderOptions } from './settings.ts';
import type { ServerInfo } from './wire/server-info.ts';

const HOUR = 3600;
/** A weekend with somebody ill. */
const ENOUGH_SECONDS = 72 * HOUR;

export interface LogSettings {
  readonly options: MysqlReaderOptions;
  readonly server: ServerInfo;
  /** Global variables by their names in lower case. */
  readonly variables: ReadonlyMap<string, string>;
  readonly findings: Finding[];
}

export function checkLog({ variables, server, options, findings }: LogSettings): void {
  if (!isOn(variables.get('log_bin'))) {
    const fix = isRds(variables)
      ? 'Switch automated backups of the instance on.'
      : 'In the server’s configuration: log_bin = binlog, and server_id = a number of its own; then restart it.';
    findings.push(failed('binlog', 'source.binlog-off', 'The server writes no binary log.', fix));
    return;
  }
  const format = variables.get('binlog_format') ?? 'ROW';
  if (format.toUpperCase() === 'ROW') findings.push(ok('binlog', 'The server logs rows.'));
  else {
    findings.push(
      failed(
        'binlog',
        'source.binlog-format',
        `binlog_format is ${format}; it has to be ROW.`,
        setting(server, 'binlog_format', "'ROW'"),
      ),
    );
  }
  const image = variables.get('binlog_row_image') ?? 'FULL';
  if (image.toUpperCase().startsWith('FULL')) findings.push(ok('row image', `binlog_row_image is ${image}.`));
  else {
    findings.push(
      warning(
        'row image',
        `binlog_row_image is ${image}: columns that an update or a delete leaves out are missing in its record, where they are null.`,
        setting(server, 'binlog_row_image', "'FULL'"),
      ),
    );
  }
  checkMetadata({ variables, server, findings });
  if ((variables.get('binlog_row_value_options') ?? '') !== '') {
    findings.push(
      warning(
        'row image',
        'binlog_row_value_options is PARTIAL_JSON: updates hold what changed of a JSON value, which Headwater puts together with what was before.',
        setting(server, 'binlog_row_value_options', "''"),
      ),
    );
  }
  const statements =
    server.flavour === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
  if (options.includeQuery && !isOn(variables.get(statements))) {
    findings.push(
      warning(
        'statements',
        `source.mysql.include_query is set, but the server does not log statements (${statements} is off).`,
        setting(server, statements, 'ON'),
      ),
    );
  }
}

/** Servers before 8.0.1 and 10.5 do not know the variable; there the history of the tables is kept by Headwater. */
function checkMetadata({
  variables,
  server,
  findings,
}: Pick<LogSettings, 'variables' | 'server' | 'findings'>): void {
  const metadata = variables.get('binlog_row_metadata');
  if (metadata === undefined) return;
  if (metadata.toUpperCase() === 'FULL') {
    findings.push(
      ok('row metadata', 'binlog_row_metadata is FULL: the log itself says what the columns were.'),
    );
  } else {
    findings.push(
      warning(
        'row metadata',
        `binlog_row_metadata is ${metadata}: what the columns were at a position is known from the DDL that Headwater has read, and from nowhere else.`,
        setting(server, 'binlog_row_metadata', "'FULL'"),
      ),
    );
  }
}

export function checkGtids({ variables, server, findings }: LogSettings): void {
  if (server.flavour === 'mariadb') {
    findings.push(ok('gtid', 'Positions are GTIDs.'));
    return;
  }
  const mode = variables.get('gtid_mode') ?? 'OFF';
  if (mode.toUpperCase() === 'ON') {
    findings.push(ok('gtid', 'gtid_mode is ON.'));
    return;
  }
  findings.push(
    warning(
      'gtid',
      `gtid_mode is ${mode}: positions are files and offsets, which hold on this server alone, not after a failover.`,
      server.version < 50_706
        ? 'In the server’s configuration: gtid_mode = ON, enforce_gtid_consistency = ON, log_slave_updates = ON; then restart it.'
        : "SET @@GLOBAL.enforce_gtid_consistency = ON; SET @@GLOBAL.gtid_mode = OFF_PERMISSIVE; SET @@GLOBAL.gtid_mode = ON_PERMISSIVE; and, when SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0 on all servers, SET @@GLOBAL.gtid_mode = ON; the same in the configuration.",
    ),
  );
}

export function checkRetention({ variables, server, findings }: LogSettings): void {
  const seconds = retentionSeconds(variables);
  if (isRds(variables)) {
    findings.push(
      warning(
        'retention',
        'On RDS the log is kept for as long as its own setting says, which only an administrator can see.',
        "CALL mysql.rds_show_configuration; CALL mysql.rds_set_configuration('binlog retention hours', 168);",
      ),
    );
  } else if (seconds === null) {
    findings.push(ok('retention', 'The server keeps its log until somebody purges it.'));
  } else if (seconds < ENOUGH_SECONDS) {
    const set = variables.has('binlog_expire_logs_seconds')
      ? setting(server, 'binlog_expire_logs_seconds', '604800')
      : setting(server, 'expire_logs_days', '7');
    findings.push(
      warning(
        'retention',
        `The server keeps its log for ${kept(seconds)}: if Headwater is down for longer, changes are lost to it.`,
        set,
      ),
    );
  } else {
    findings.push(ok('retention', `The server keeps its log for ${kept(seconds)}.`));
  }
}

function kept(seconds: number): string {
  return seconds < 7_200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3_600)} hours`;
}

/** How a global variable is set for good. */
function setting(server: ServerInfo, name: string, value: string): string {
  if (server.flavour === 'mysql' && server.version >= 80_000) return `SET PERSIST ${name} = ${value};`;
  return `SET GLOBAL ${name} = ${value}; and ${name} = ${value.replaceAll("'", '')} in the server’s configuration.`;
}

export function isOn(value: string | undefined): boolean {
  return value === 'ON' || value === '1';
}

function isRds(variables: ReadonlyMap<string, string>): boolean {
  return (variables.get('basedir') ?? '').startsWith('/rdsdbbin');
}
