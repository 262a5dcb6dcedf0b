import { type TableId, tableName } from '../../model/table.ts';
import { failed, ok, warning } from '../finding.ts';
import type { TablePatterns } from '../table-patterns.ts';
import { capturedTables, leftOutColumns, limitationOf } from './catalogue.ts';
import type { CheckedDatabase } from './checked-database.ts';
import { classify, pastIsGone } from './errors.ts';
import { quoteIdent, quoteTable } from './quoting.ts';
import { assertOracleError, type OracleSession } from './session/oracle-session.ts';
import { visibleColumns } from './types/column-metadata.ts';

/** Table by table: whether it can be captured and read as it was, and what the log will not have of it. */
export async function checkTables(
  { connect, options, database, user, findings, signal }: CheckedDatabase,
  patterns: TablePatterns,
): Promise<void> {
  await using session = await connect('catalogue', signal);
  const { tables, unmatched } = await capturedTables(session, patterns, options.place);
  if (unmatched !== null) {
    findings.push(failed('tables', unmatched.code, unmatched.message, unmatched.fix));
    return;
  }
  findings.push(ok('tables', `${tables.length} ${tables.length === 1 ? 'table' : 'tables'} to capture.`));
  for (const table of tables) {
    const name = tableName(table.id);
    if (table.obstacle === null) await checkFlashback(session, table.id, { user, database, findings });
    if (table.obstacle !== null) {
      findings.push(
        warning(
          'tables',
          `${name} is left out: ${table.obstacle}.`,
          `Leave it out of source.tables: "!${name}".`,
        ),
      );
      continue;
    }
    const limitation = limitationOf(table, database);
    if (limitation !== null) {
      const { message, fix, fatal } = limitation;
      findings.push(
        fatal || options.requireAllColumns
          ? failed('supplemental logging', 'source.supplemental-logging', message, fix)
          : warning('supplemental logging', message, fix),
      );
    }
    const leftOut = leftOutColumns(table);
    if (leftOut.length > 0) {
      findings.push(warning('columns', `Columns of ${name} are left out: ${leftOut.join(', ')}.`));
    }
    const long = [
      table.id.table,
      ...visibleColumns(table.version.columns).map((column) => column.name),
    ].filter((text) => text.length > 30);
    if (long.length > 0) {
      findings.push(
        warning(
          'names',
          `${name} has names longer than 30 characters (${long.join(', ')}); LogMiner of many releases does not show such tables.`,
        ),
      );
    }
  }
}

/** Whether a table can be read as it was: what the snapshot does. */
async function checkFlashback(
  session: OracleSession,
  id: TableId,
  { user, database, findings }: Pick<CheckedDatabase, 'user' | 'database' | 'findings'>,
): Promise<void> {
  try {
    await session.query(`SELECT 1 FROM ${quoteTable(id)} AS OF SCN ${database.currentScn} WHERE ROWNUM = 1`);
  } catch (error) {
    assertOracleError(error);
    if (pastIsGone(error)) return; // made or altered just now
    if (classify(error).code !== 'source.privilege-missing') throw error;
    findings.push(
      failed(
        'privileges',
        'source.privilege-missing',
        `${user} cannot read ${tableName(id)} as it was at an SCN.`,
        `GRANT SELECT, FLASHBACK ON ${quoteTable(id)} TO ${quoteIdent(user)};`,
      ),
    );
  }
}
