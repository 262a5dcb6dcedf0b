import { setTimeout as pause } from 'node:timers/promises';
import type { Query } from './types/type-registry.ts';
import { Visibility } from './snapshot-visibility.ts';

const PAUSE_MS = 10;
/** A commit that waits for longer, as for a synchronous standby that is away, holds the stream up no further. */
const MAX_WAIT_MS = 2_000;

/**
 * Waits until others see what a transaction did that the log has told of. The server sends it on as soon as its commit
 * is on disk, and shows it a moment later, or not before a synchronous standby has confirmed it. `xid` has 32 bits.
 */
export async function untilVisible(query: Query, xid: number): Promise<void> {
  for (let waited = 0; waited < MAX_WAIT_MS; waited += PAUSE_MS) {
    const [row] = await query('SELECT pg_catalog.pg_current_snapshot()::text');
    if (new Visibility(row?.[0] ?? '').sees(String(xid))) return;
    await pause(PAUSE_MS);
  }
}
