import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Opened, OpenRequest, StoredLog } from '../reader.ts';
import { logEnd } from './log-end.ts';
import { type AskedServer, findGap } from './log-gap.ts';
import { decodeIdentity, encodeIdentity } from './log-identity.ts';
import type { MysqlPosition } from './position.ts';
import type { MysqlReaderOptions } from './settings.ts';

export interface OpenLogParts {
  readonly options: MysqlReaderOptions;
  readonly server: AskedServer;
  /** Takes the snapshot that a fresh log begins at; null where there is none. */
  readonly takeSnapshot: () => Promise<MysqlPosition | null>;
}

/** How the server's log relates to the checkpoint. Nothing is made at the source. */
export async function openLog(
  { options, server, takeSnapshot }: OpenLogParts,
  request: OpenRequest<MysqlPosition>,
): Promise<{ readonly opened: Opened<MysqlPosition>; readonly sameServer: boolean }> {
  const { stored } = request;
  const identity = encodeIdentity({ connector: options.connector, server: server.uuid });
  if (stored === null) {
    const start = (await takeSnapshot()) ?? (await logEnd(server.query, server.info, server.gtids));
    return { opened: { continuity: { kind: 'fresh', start }, identity }, sameServer: true };
  }
  const sameServer = decodeIdentity(stored.identity)?.server === server.uuid;
  const reason = await judgeGap({ options, server }, request);
  if (reason === null) return { opened: { continuity: { kind: 'continuous' }, identity }, sameServer };
  const taken = options.onGap === 'resnapshot' ? await takeSnapshot() : null;
  const start = taken ?? (await logEnd(server.query, server.info, server.gtids));
  return { opened: { continuity: { kind: 'gap', reason, start }, identity }, sameServer: true };
}

/** Why the stored position cannot be resumed; null where it can. Throws where that is not to be gone on with. */
export async function judgeGap(
  { options, server }: Pick<OpenLogParts, 'options' | 'server'>,
  { stored, lost }: Pick<StoredLog<MysqlPosition>, 'stored' | 'lost'>,
): Promise<string | null> {
  if (stored === null) return null;
  const sameServer = decodeIdentity(stored.identity)?.server === server.uuid;
  const reason = lost ?? (await findGap(server, stored.position, sameServer));
  if (reason === null || options.onGap !== 'fail') return reason;
  throw new HeadwaterError(
    'source.position-lost',
    `The log no longer reaches back to the checkpoint of ${options.name}: ${reason}.`,
  );
}
