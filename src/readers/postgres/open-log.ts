import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { TABLE_PREFIX } from '../../state/checkpoint.ts';
import type { Opened, OpenRequest, StoredLog, StoredPosition } from '../reader.ts';
import type { SourceTable } from './captured-tables.ts';
import { decodeIdentity, encodeIdentity, type LogIdentity } from './log-identity.ts';
import { formatLsn, type PostgresPosition } from './position.ts';
import {
  alignPublications,
  inspectPublication,
  planPublications,
  type PublicationState,
} from './publication.ts';
import { type PostgresReaderOptions, publicationNames } from './settings.ts';
import {
  awaitInactive,
  createSlot,
  dropSlot,
  identifySystem,
  readSlot,
  RELEASE_MS,
  type SlotCreation,
  type SlotInfo,
  type SystemInfo,
  timelineEnd,
} from './slot.ts';
import type { PgConnection } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { describeHosts } from './wire/connect-options.ts';
import { quoteLiteral } from './wire/quoting.ts';

export interface OpenLogParts {
  readonly options: PostgresReaderOptions;
  readonly tables: readonly SourceTable[];
  readonly sql: PgConnection;
  connectReplication(): Promise<PgConnection>;
  readonly log: Log;
}

interface Gap {
  readonly reason: string;
  /** The slot can still be read from where it stands. */
  readonly slotUsable: boolean;
}

/** What was found before anything was changed. */
interface Found {
  readonly gap: Gap | null;
  /** With a continuous log: see Opened. */
  readonly interrupted: readonly TableId[];
}

interface Seen {
  readonly system: SystemInfo;
  readonly identity: LogIdentity;
  readonly standby: boolean;
  readonly publications: readonly PublicationState[];
  readonly slot: SlotInfo | null;
}

/**
 * Publications and slot as they have to be, and how the log relates to the checkpoint. Nothing is changed
 * before everything has been looked at, and nothing is created before the intent is durable.
 */
export async function openLog(
  parts: OpenLogParts,
  request: OpenRequest<PostgresPosition>,
  signal: AbortSignal,
): Promise<{ readonly opened: Opened<PostgresPosition>; readonly creation: SlotCreation | null }> {
  const { options, sql } = parts;
  const replication = await parts.connectReplication();
  let creation: SlotCreation | null = null;
  try {
    const seen = await look(parts, { replication, patienceMs: RELEASE_MS }, signal);
    const { gap, interrupted } = await judge(parts, request, { ...seen, replication }, signal);
    const identity = encodeIdentity(seen.identity);
    if (request.stored !== null && gap === null) {
      if (interrupted.length > 0) {
        await request.recordIntent(
          encodeIdentity(seen.identity, { interrupted: interrupted.map(tableName) }),
        );
      }
      const locked = await align(parts, seen);
      const unpublished = new Set(locked.map(tableName));
      return {
        opened: {
          continuity: { kind: 'continuous' },
          identity,
          // Of others it is told when they are published again.
          interrupted: interrupted.filter((id) => !unpublished.has(tableName(id))),
          locked,
        },
        creation: null,
      };
    }
    await request.recordIntent(encodeIdentity(seen.identity, { pending: true }));
    // Publications first: servers up to 17 cannot decode what is older than a publication they are asked for.
    const locked = await align(parts, seen);
    let start: PostgresPosition;
    if (seen.slot?.confirmedLsn != null && gap?.slotUsable === true && options.onGap === 'skip_with_marker') {
      start = { lsn: seen.slot.confirmedLsn, mid: null };
    } else {
      if (seen.slot !== null) await dropSlot((text) => sql.query(text, signal), options.slot);
      creation = await createSlot(
        replication,
        { name: options.slot, failover: options.failover !== false && !seen.standby, log: parts.log },
        signal,
      );
      start = { lsn: creation.consistentPoint, mid: null };
    }
    return {
      opened: {
        continuity: gap === null ? { kind: 'fresh', start } : { kind: 'gap', reason: gap.reason, start },
        identity,
        locked,
      },
      creation,
    };
  } finally {
    // The session that made the slot holds its snapshot.
    if (creation === null) await replication.close();
  }
}

/** The publications as they have to be. Tables that are locked by others, and so not published for now. */
async function align(
  { sql, tables, log }: OpenLogParts,
  { publications }: Seen,
): Promise<readonly TableId[]> {
  const locked = await alignPublications(
    { query: (text) => sql.query(text), command: (text) => sql.command(text) },
    publications,
  );
  const kept = tables.filter(
    ({ oid }) => locked.has(oid) && publications.some((each) => each.publishes(oid)),
  );
  for (const { id } of kept) {
    log.warn(
      { table: tableName(id) },
      'the table is locked by somebody else, and stays in its publication as it is until the lock is gone',
    );
  }
  return tables.filter((table) => locked.has(table.oid) && !kept.includes(table)).map(({ id }) => id);
}

/** As Reader.examine. A slot that is being read now is not waited for. */
export async function examineLog(
  parts: OpenLogParts,
  stored: StoredLog<PostgresPosition>,
  signal: AbortSignal,
): Promise<string | null> {
  const replication = await parts.connectReplication();
  try {
    const seen = await look(parts, { replication, patienceMs: 0 }, signal);
    return (await judge(parts, stored, { ...seen, replication }, signal)).gap?.reason ?? null;
  } finally {
    await replication.close();
  }
}

/** What becomes of the log, by what was seen and what is stored. Throws what cannot be gone on with. */
async function judge(
  parts: OpenLogParts,
  request: StoredLog<PostgresPosition>,
  seen: Seen & { readonly replication: PgConnection },
  signal: AbortSignal,
): Promise<Found> {
  const { options } = parts;
  const { stored } = request;
  if (stored === null) {
    refuseForeignSlot(parts, seen, request.intent);
    return { gap: null, interrupted: [] };
  }
  const gap =
    request.lost == null
      ? await findGap(parts, stored, seen, signal)
      : { reason: request.lost, slotUsable: false };
  if (gap === null) return { gap, interrupted: findInterrupted(parts, request, seen) };
  if (options.onGap === 'fail') {
    throw new HeadwaterError(
      'source.position-lost',
      `The log no longer reaches back to the checkpoint of ${options.name}: ${gap.reason}.`,
    );
  }
  return { gap, interrupted: [] };
}

async function look(
  parts: OpenLogParts,
  { replication, patienceMs }: { readonly replication: PgConnection; readonly patienceMs: number },
  signal: AbortSignal,
): Promise<Seen> {
  const { options, tables, sql } = parts;
  const query = (text: string): Promise<TextRows> => sql.query(text, signal);
  const system = await identifySystem(replication, signal);
  const [recovery] = await query('SELECT pg_catalog.pg_is_in_recovery()');
  const publications: PublicationState[] = [];
  for (const plan of planPublications(publicationNames(options), tables)) {
    publications.push(await inspectPublication(query, plan, sql.serverVersion));
  }
  const read = (): Promise<SlotInfo | null> => readSlot(query, options.slot, sql.serverVersion);
  const slot = await awaitInactive(query, { read, name: options.slot, patienceMs }, signal);
  const { database } = options.connect;
  if (slot !== null && (slot.plugin !== 'pgoutput' || slot.database !== database)) {
    throw new HeadwaterError(
      'source.slot-unusable',
      slot.database === database || slot.database === null
        ? `The replication slot ${options.slot} uses the plugin ${slot.plugin ?? 'none'}, not pgoutput.`
        : `The replication slot ${options.slot} belongs to database ${slot.database}, not ${database}.`,
      { details: { slot: options.slot } },
    );
  }
  const identity = { system: system.systemId, timeline: system.timeline, database, slot: options.slot };
  return { system, identity, standby: recovery?.[0] === 't', publications, slot };
}

function refuseForeignSlot({ options }: OpenLogParts, { slot, identity }: Seen, intent: string | null): void {
  if (slot === null) return;
  const intended = decodeIdentity(intent);
  if (intended !== null && intended.system === identity.system && intended.slot === identity.slot) return;
  throw new HeadwaterError(
    'source.slot-foreign',
    `A replication slot ${options.slot} exists on ${describeHosts(options.connect)}, and this pipeline has no checkpoint that belongs to it.`,
    {
      fix: `If nobody needs it: SELECT pg_drop_replication_slot(${quoteLiteral(options.slot)}); otherwise set source.postgres.slot to another name.`,
      details: { slot: options.slot },
    },
  );
}

/**
 * Tables that were captured before and are not published now: taken out by hand, or dropped and made again. What
 * was written to them meanwhile is in no stream.
 */
function findInterrupted(
  { options, tables }: OpenLogParts,
  { stored, state }: StoredLog<PostgresPosition>,
  { publications }: Seen,
): readonly TableId[] {
  const before = new Set(decodeIdentity(stored?.identity ?? null)?.interrupted);
  const interrupted = tables.filter(
    ({ id, oid }) =>
      before.has(tableName(id)) ||
      (state?.has(TABLE_PREFIX + tableName(id)) === true &&
        !publications.some((publication) => publication.publishes(oid))),
  );
  if (interrupted.length > 0 && options.onGap === 'fail') {
    throw new HeadwaterError(
      'source.position-lost',
      `Changes of ${interrupted.map(({ id }) => tableName(id)).join(', ')} were not published for a while: taken out of the publication of ${options.name}, or dropped and made again.`,
    );
  }
  return interrupted.map(({ id }) => id);
}

/** Why the stored position cannot be resumed; null where it can. */
async function findGap(
  parts: OpenLogParts,
  stored: StoredPosition<PostgresPosition>,
  found: Seen & { readonly replication: PgConnection },
  signal: AbortSignal,
): Promise<Gap | null> {
  const { slot, identity, publications, system } = found;
  const then = decodeIdentity(stored.identity);
  const { lsn } = stored.position;
  const lost = (reason: string, slotUsable = false): Gap => ({ reason, slotUsable });
  if (then?.pending === true) return lost('a former attempt to begin the log anew was broken off');
  if (then !== null && then.system !== identity.system) {
    refuseForeignSlot(parts, found, null);
    return lost(`this is another database system (${identity.system}, was ${then.system})`);
  }
  if (slot === null) {
    const former = then !== null && then.slot !== identity.slot ? `; the former slot was ${then.slot}` : '';
    return lost(`the replication slot ${identity.slot} is gone${former}`);
  }
  if (slot.invalidation !== null) {
    return lost(`the server has invalidated the replication slot ${identity.slot} (${slot.invalidation})`);
  }
  if (slot.confirmedLsn !== null && slot.confirmedLsn > lsn) {
    return lost(
      `the replication slot ${identity.slot} stands at ${formatLsn(slot.confirmedLsn)}, past the checkpoint ${formatLsn(lsn)}: it was made anew, or somebody else has read from it`,
      true,
    );
  }
  if (then !== null && then.timeline !== identity.timeline) {
    const end = await timelineEnd(found.replication, then.timeline, identity.timeline, signal);
    if (end === null) {
      return lost(
        `timeline ${identity.timeline} does not come from ${then.timeline}, where the checkpoint was made`,
      );
    }
    if (end < lsn) {
      return lost(
        `the server left timeline ${then.timeline} at ${formatLsn(end)}, before the checkpoint ${formatLsn(lsn)}`,
      );
    }
    parts.log.info(
      { from: then.timeline, to: identity.timeline, switchedAt: formatLsn(end) },
      'the server is on a new timeline; the log is continuous',
    );
  }
  if (system.flushedLsn < lsn) {
    return lost(
      `the server’s log ends at ${formatLsn(system.flushedLsn)}, before the checkpoint ${formatLsn(lsn)}`,
    );
  }
  const missing = publications.find(({ exists }) => !exists);
  if (missing !== undefined) {
    return lost(`the publication ${missing.plan.name} was dropped, and with it what was published since`);
  }
  return null;
}
