import { type TableId, tableName } from '../../model/table.ts';
import { failed, failedBy, ok, warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import { capturedTables, limitationOf, listTables, type SourceTable } from './captured-tables.ts';
import { mapPgError } from './errors.ts';
import { inspectPublication, planPublications } from './publication.ts';
import { type PostgresReaderOptions, publicationNames } from './settings.ts';
import { readSlot } from './slot.ts';
import type { TablePatterns } from '../table-patterns.ts';
import { connectPg } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { describeHosts } from './wire/connect-options.ts';
import { quoteIdent, quoteTable } from './wire/quoting.ts';

interface Checked {
  readonly query: (sql: string) => Promise<TextRows>;
  readonly options: PostgresReaderOptions;
  readonly serverVersion: number;
  readonly facts: Facts;
  readonly findings: Finding[];
}

interface Facts {
  readonly user: string;
  readonly superuser: boolean;
  readonly mayReplicate: boolean;
  readonly mayCreate: boolean;
  readonly walLevel: string;
  readonly standby: boolean;
  readonly maxSlots: number;
  readonly slots: number;
  readonly maxSenders: number;
  readonly senders: number;
  /** Bytes; null is without limit. */
  readonly keepBytes: number | null;
  readonly hotStandbyFeedback: boolean;
  readonly rds: boolean;
}

/** Everything that can be known beforehand; changes nothing. Describes rather than throws. */
export async function preflight(
  options: PostgresReaderOptions,
  patterns: TablePatterns,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const place = `${options.connect.database} on ${describeHosts(options.connect)}`;
  try {
    await using connection = await connectPg(options.connect, {}, signal);
    const query = (sql: string): Promise<TextRows> => connection.query(sql, signal);
    findings.push(ok('connection', `Connected to ${place} as ${options.connect.user}.`));
    const facts = await readFacts(query);
    const checked: Checked = { query, options, serverVersion: connection.serverVersion, facts, findings };
    checkServer(checked);
    checkRole(checked);
    await checkSlot(checked);
    const tables = await checkTables(checked, patterns, place);
    if (tables !== null) await checkPublications(checked, tables);
    checkRetention(checked);
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapPgError(error, `Checking ${place}`);
    findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'checks'));
  }
  return findings;
}

async function readFacts(query: (sql: string) => Promise<TextRows>): Promise<Facts> {
  const [row] = await query(`SELECT current_user, r.rolsuper, r.rolreplication,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
    pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('max_replication_slots'), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots),
    pg_catalog.current_setting('max_wal_senders'), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'),
    (SELECT setting::pg_catalog.int8 * 1048576 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'),
    pg_catalog.current_setting('hot_standby_feedback'),
    EXISTS (SELECT FROM pg_catalog.pg_roles x WHERE x.rolname = 'rds_replication'),
    EXISTS (SELECT FROM pg_catalog.pg_roles x WHERE x.rolname = 'rds_replication' AND pg_catalog.pg_has_role(current_user, x.oid, 'MEMBER'))
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`);
  const at = (index: number): string => row?.[index] ?? '';
  return {
    user: at(0),
    superuser: at(1) === 't',
    mayReplicate: at(1) === 't' || at(2) === 't' || at(13) === 't',
    mayCreate: at(3) === 't',
    walLevel: at(4),
    standby: at(5) === 't',
    maxSlots: Number(at(6)),
    slots: Number(at(7)),
    maxSenders: Number(at(8)),
    senders: Number(at(9)),
    keepBytes: Number(at(10)) < 0 ? null : Number(at(10)),
    hotStandbyFeedback: at(11) === 'on',
    rds: at(12) === 't',
  };
}

function checkServer({ serverVersion, facts, findings }: Checked): void {
  const version = `PostgreSQL ${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`;
  if (serverVersion < 130_000) {
    findings.push(
      failed('version', 'source.version-unsupported', `${version} is too old: 15 to 18 are supported.`),
    );
  } else if (serverVersion < 150_000) {
    findings.push(warning('version', `${version} works, but is not tested: 15 to 18 are.`));
  } else {
    findings.push(ok('version', `${version}.`));
  }
  if (facts.walLevel !== 'logical') {
    const fix = facts.rds
      ? 'Set rds.logical_replication = 1 in the parameter group and restart the server.'
      : 'ALTER SYSTEM SET wal_level = logical; then restart the server.';
    findings.push(
      failed('wal_level', 'source.wal-level', `wal_level is ${facts.walLevel}; it has to be logical.`, fix),
    );
  } else {
    findings.push(ok('wal_level', 'wal_level is logical.'));
  }
  if (!facts.standby) return;
  if (serverVersion < 160_000) {
    findings.push(
      failed(
        'standby',
        'source.read-only',
        'The server is a standby; before 16 only a primary can be read from.',
      ),
    );
  } else if (!facts.hotStandbyFeedback) {
    findings.push(
      warning(
        'standby',
        'The server is a standby with hot_standby_feedback off: the primary may remove what the slot needs.',
        'On the standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();',
      ),
    );
  }
}

function checkRole({ facts, findings }: Checked): void {
  if (facts.mayReplicate) {
    findings.push(ok('replication privilege', `The role ${facts.user} may replicate.`));
    return;
  }
  const role = quoteIdent(facts.user);
  findings.push(
    failed(
      'replication privilege',
      'source.no-replication-privilege',
      `The role ${facts.user} may not replicate.`,
      facts.rds ? `GRANT rds_replication TO ${role};` : `ALTER ROLE ${role} REPLICATION;`,
    ),
  );
}

async function checkSlot({ query, options, serverVersion, facts, findings }: Checked): Promise<void> {
  const slot = await readSlot(query, options.slot, serverVersion);
  if (slot === null) {
    if (facts.slots >= facts.maxSlots) {
      findings.push(
        failed(
          'slot',
          'source.slots-exhausted',
          `All ${facts.maxSlots} replication slots of the server are taken.`,
          'Drop a slot nobody uses (SELECT slot_name, active FROM pg_replication_slots;), or raise max_replication_slots and restart.',
        ),
      );
    } else {
      findings.push(
        ok('slot', `The slot ${options.slot} will be created; ${facts.maxSlots - facts.slots} are free.`),
      );
    }
  } else if (slot.plugin !== 'pgoutput' || slot.database !== options.connect.database) {
    findings.push(
      failed(
        'slot',
        'source.slot-unusable',
        `The replication slot ${options.slot} belongs to database ${slot.database ?? 'none'} with plugin ${slot.plugin ?? 'none'}.`,
        'Set source.postgres.slot to another name.',
      ),
    );
  } else if (slot.invalidation !== null) {
    findings.push(
      warning(
        'slot',
        `The server has invalidated the slot ${options.slot} (${slot.invalidation}); source.on_gap applies.`,
      ),
    );
  } else if (slot.activePid !== null) {
    findings.push(warning('slot', `The slot ${options.slot} is being read by process ${slot.activePid}.`));
  } else {
    findings.push(ok('slot', `The slot ${options.slot} exists.`));
  }
  if (facts.senders >= facts.maxSenders) {
    findings.push(
      failed(
        'wal senders',
        'source.slots-exhausted',
        `All ${facts.maxSenders} WAL senders of the server are in use.`,
        'Raise max_wal_senders and restart the server.',
      ),
    );
  }
}

async function checkTables(
  { query, facts, findings }: Checked,
  patterns: TablePatterns,
  place: string,
): Promise<readonly SourceTable[] | null> {
  const { tables, unmatched } = capturedTables(await listTables(query), patterns, place);
  if (unmatched !== null) findings.push(failed('tables', unmatched.code, unmatched.message, unmatched.fix));
  if (tables.length === 0) return null;
  const role = quoteIdent(facts.user);
  const statements: string[] = [];
  for (const schema of new Set(tables.filter((t) => !t.schemaUsable).map((t) => t.id.schema))) {
    statements.push(`GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${role};`);
  }
  const unreadable = tables.filter(({ selectable }) => !selectable);
  for (const { id } of unreadable) statements.push(`GRANT SELECT ON ${quoteTable(id)} TO ${role};`);
  if (statements.length > 0) {
    const names = tables.filter((t) => !t.selectable || !t.schemaUsable).map(({ id }) => tableName(id));
    findings.push(
      failed(
        'tables',
        'source.privilege-missing',
        `The role ${facts.user} cannot read ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}.`,
        statements.join(' '),
      ),
    );
  } else {
    findings.push(ok('tables', `${tables.length} ${tables.length === 1 ? 'table' : 'tables'} to capture.`));
  }
  for (const table of tables) {
    const limitation = limitationOf(table);
    if (limitation !== null) findings.push(warning('replica identity', limitation.message, limitation.fix));
  }
  const keyOnly = tables.filter((table) => !table.wholeOldRows && limitationOf(table) === null);
  if (keyOnly.length > 0) findings.push(oldRowsOf(keyOnly.map(({ id }) => id)));
  return tables;
}

/** Nothing is wrong with these, but some consumers need whole old rows (docs/consumers.md). */
function oldRowsOf(tables: readonly TableId[]): Finding {
  const shown = tables.slice(0, 5);
  const more = tables.length > shown.length ? ` and ${tables.length - shown.length} more` : '';
  const names = shown.map(tableName).join(', ');
  const statements = shown.map((id) => `ALTER TABLE ${quoteTable(id)} REPLICA IDENTITY FULL;`).join(' ');
  return {
    ...ok(
      'old rows',
      `The log has the key alone of old rows of ${names}${more}: \`before\` of an update is null.`,
    ),
    fix: `Where consumers need them whole: ${statements}`,
  };
}

async function checkPublications(
  { query, options, serverVersion, facts, findings }: Checked,
  tables: readonly SourceTable[],
): Promise<void> {
  for (const plan of planPublications(publicationNames(options), tables)) {
    const state = await inspectPublication(query, plan, serverVersion);
    const check = `publication ${plan.name}`;
    if (state.right) {
      findings.push(ok(check, `The publication ${plan.name} is as the settings need it.`));
      continue;
    }
    const statements = state.statements.join(' ');
    if (facts.standby) {
      findings.push(
        failed(
          check,
          'source.read-only',
          `The publication ${plan.name} has to be made on the primary.`,
          statements,
        ),
      );
    } else if (!state.owned) {
      findings.push(
        failed(
          check,
          'source.publication-foreign',
          `The publication ${plan.name} belongs to ${state.owner ?? 'another role'} and is not as the settings need it.`,
          `As ${state.owner ?? 'its owner'}: ${statements}`,
        ),
      );
    } else if (!facts.superuser && state.missing.some(({ owned }) => !owned)) {
      const names = state.missing.filter(({ owned }) => !owned).map(({ id }) => tableName(id));
      const create =
        state.exists || facts.mayCreate ? '' : `, nor may it create the publication ${plan.name}`;
      findings.push(
        failed(
          check,
          'source.privilege-missing',
          `Only their owner may put ${names.slice(0, 5).join(', ')} into a publication, and ${facts.user} is not${create}.`,
          // Made by somebody who may do both, it is as it has to be.
          `As ${create === '' ? 'owner of the tables or superuser' : 'superuser'}: ${statements}`,
        ),
      );
    } else if (!state.exists && !facts.mayCreate) {
      findings.push(
        failed(
          check,
          'source.privilege-missing',
          `The role ${facts.user} may not create the publication ${plan.name}.`,
          `GRANT CREATE ON DATABASE ${quoteIdent(options.connect.database)} TO ${quoteIdent(facts.user)};`,
        ),
      );
    } else {
      findings.push(
        ok(check, `The publication ${plan.name} will be ${state.exists ? 'changed' : 'created'}.`),
      );
    }
  }
}

function checkRetention({ options, facts, findings }: Checked): void {
  const { keepBytes } = facts;
  const budget = options.walBudgetBytes;
  if (keepBytes === null) {
    findings.push(
      warning(
        'retention',
        'max_slot_wal_keep_size is unlimited: while Headwater is down the server keeps WAL until its disk is full.',
        "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();",
      ),
    );
  } else if (budget !== null && budget > keepBytes) {
    findings.push(
      warning(
        'retention',
        `wal_budget is larger than max_slot_wal_keep_size (${keepBytes} bytes): the slot is lost before the alarm.`,
        'Raise max_slot_wal_keep_size or lower source.postgres.wal_budget.',
      ),
    );
  } else {
    findings.push(ok('retention', `The server keeps up to ${keepBytes} bytes of WAL for the slot.`));
  }
}
