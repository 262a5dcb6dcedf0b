import { HeadwaterError } from '../../errors/headwater-error.ts';
import { tableName } from '../../model/table.ts';
import { keyOf, type PolledTable } from '../poll-dialect.ts';
import type { CapturedTable } from '../reader.ts';
import type { PollReaderOptions } from './settings.ts';

/** Throws `settings.column-missing` for a table whose keys are to be compared, and which has none. */
export function refuseKeyless(tables: readonly PolledTable[], { settingsOf }: PollReaderOptions): void {
  for (const table of tables) {
    const { id } = table.schema;
    if (settingsOf(id).sweepMs === null || keyOf(table).length > 0) continue;
    throw new HeadwaterError(
      'settings.column-missing',
      `${tableName(id)} has a delete_sweep and no key that could be compared.`,
      {
        fix: `Name columns of a unique key as source.poll.tables.${tableName(id)}.key.`,
        details: { table: tableName(id) },
      },
    );
  }
}

/** What polling does not see of a table; said once, and in the status. */
export function limitationOf({ id }: CapturedTable, { settingsOf }: PollReaderOptions): string {
  const { mode, sweepMs, remember } = settingsOf(id);
  const lost = ['states between two polls'];
  if (mode === 'incrementing') lost.push('updates');
  if (sweepMs === null) lost.push('deletes');
  const timed = mode === 'timestamp' || mode === 'timestamp+incrementing';
  const swept = sweepMs !== null && remember === 'rows';
  const without = timed && !swept ? ', and updates that leave the timestamp as it is' : '';
  return `${tableName(id)} is polled: ${lost.join(' and ')} are not seen${without}.`;
}
