import { expect, test } from 'vitest';
import type { Planner } from '../../src/readers/postgres/snapshot-plan.ts';
import { PgWindows } from '../../src/readers/postgres/snapshot-windows.ts';
import type { PgConnection } from '../../src/readers/postgres/wire/connection.ts';
import { PgConnectionError, PgError } from '../../src/readers/postgres/wire/pg-error.ts';
import type { TablePlan } from '../../src/snapshot/snapshot-source.ts';

const never = new AbortController().signal;

test('a session that breaks while a failed read is undone does not hide why the read failed', async () => {
  const session = {
    open: true,
    query: () => Promise.reject(new PgError(new Map([['C', '42P01']]))),
    command: (sql: string) =>
      sql.startsWith('SET')
        ? Promise.resolve('SET')
        : Promise.reject(new PgConnectionError('lost', 'The server is shutting down')),
    close: () => Promise.resolve(),
  } as unknown as PgConnection;
  await using windows = new PgWindows({
    lockTimeoutMs: 1_000,
    parallelism: 1,
    connect: () => Promise.resolve(session),
    planner: {} as Planner,
  });
  const plan = { id: { schema: 'public', table: 'a' }, table: { oid: 1 } } as unknown as TablePlan;
  const reading = windows.chunk(plan, { from: null, to: null }, { maxRows: 1, maxBytes: 1 }, never);
  await expect(reading).rejects.toMatchObject({ code: 'snapshot.table-unreadable' });
});
