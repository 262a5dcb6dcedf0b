import type { TableId } from '../../model/table.ts';
import type { Query } from './catalogue.ts';
import { MysqlError } from './wire/mysql-error.ts';
import { quoteTable } from './wire/quoting.ts';
import type { ServerInfo } from './wire/server-info.ts';

/**
 * A commit that waits for longer, as one does for a semi-synchronous replica that does not answer, holds the stream up
 * no further.
 */
const MAX_WAIT_SECONDS = 2;

/**
 * Waits until the catalogue shows what a statement did to the table that the log has told of. From 8.0 on MySQL sends
 * the log on while the statement's commit is still under way, and information_schema, which is a view of the
 * dictionary, waits for nobody. The statement holds the table's metadata lock until then, for which SHOW CREATE TABLE
 * waits; it does not queue behind others that only wait for it too. Before, and on MariaDB, information_schema itself
 * opens the table so.
 */
export async function untilVisible(query: Query, server: ServerInfo, id: TableId): Promise<void> {
  if (server.flavour !== 'mysql' || server.version < 80_000) return;
  await query(`SET SESSION lock_wait_timeout = ${MAX_WAIT_SECONDS}`);
  try {
    await query(`SHOW CREATE TABLE ${quoteTable(id)}`);
  } catch (error) {
    // The table is gone, is not ours to look at, or the wait was in vain: what the catalogue has then has to do.
    if (!(error instanceof MysqlError)) throw error;
  }
}
