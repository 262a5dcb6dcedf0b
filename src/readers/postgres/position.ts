import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue, PositionCodec } from '../../model/position.ts';

/**
 * Where the log is resumed (docs/decisions: position format).
 *
 * `lsn` is the end of the last whole transaction that was delivered: every transaction that commits behind it
 * is still to come. `mid` says how much of the transaction whose COMMIT record starts at `commitLsn` was passed
 * beyond that: `done` row changes and truncated tables as the server sends them, captured or not, and `messages`
 * logical messages behind the last of these. The server sends messages only where they are asked for, so they
 * are counted apart: both numbers mean the same after the settings have changed
 * (docs/decisions/0012-messages-in-positions.md).
 */
export interface PostgresPosition {
  /** Bytes, exact to 2^53. */
  readonly lsn: number;
  readonly mid: { readonly commitLsn: number; readonly done: number; readonly messages: number } | null;
}

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** 'X/Y' as the server prints it. */
export function formatLsn(lsn: number): string {
  const high = Math.floor(lsn / 0x1_0000_0000);
  return `${high.toString(16).toUpperCase()}/${(lsn % 0x1_0000_0000).toString(16).toUpperCase()}`;
}

/** Null where the text is not an LSN. */
export function parseLsn(text: string): number | null {
  const match = LSN.exec(text);
  if (match === null) return null;
  const lsn = Number.parseInt(match[1]!, 16) * 0x1_0000_0000 + Number.parseInt(match[2]!, 16);
  return Number.isSafeInteger(lsn) ? lsn : null;
}

/** For answers of the server: what isn't an LSN there is a protocol violation. */
export function serverLsn(text: string | null | undefined): number {
  const lsn = parseLsn(text ?? '');
  if (lsn === null) throw new HeadwaterError('internal.bug', 'The server sent something else than an LSN.');
  return lsn;
}

/**
 * JSON form: `{"lsn":"0/16B3748"}`, inside a transaction also `"mid":{"commit_lsn":"0/16B4000","done":1200}`, with
 * `"messages":2` where there are any.
 */
export const POSTGRES_POSITIONS: PositionCodec<PostgresPosition> = {
  encode({ lsn, mid }) {
    if (mid === null) return { lsn: formatLsn(lsn) };
    const { commitLsn, done, messages } = mid;
    const counts = messages === 0 ? { done } : { done, messages };
    return { lsn: formatLsn(lsn), mid: { commit_lsn: formatLsn(commitLsn), ...counts } };
  },
  decode(json) {
    if (!isRecord(json) || typeof json['lsn'] !== 'string') throw invalid();
    const lsn = parseLsn(json['lsn']);
    if (lsn === null) throw invalid();
    const mid = json['mid'] ?? null;
    if (mid === null) return { lsn, mid: null };
    if (!isRecord(mid) || typeof mid['commit_lsn'] !== 'string') throw invalid();
    const commitLsn = parseLsn(mid['commit_lsn']);
    const done = mid['done'];
    const messages = mid['messages'] ?? 0;
    if (commitLsn === null || commitLsn < lsn || !isCount(done) || !isCount(messages)) throw invalid();
    if (done + messages < 1) throw invalid();
    return { lsn, mid: { commitLsn, done, messages } };
  },
  compare(a, b) {
    if (a.lsn !== b.lsn) return a.lsn - b.lsn;
    const commits = (a.mid?.commitLsn ?? 0) - (b.mid?.commitLsn ?? 0);
    if (commits !== 0) return commits;
    const done = (a.mid?.done ?? 0) - (b.mid?.done ?? 0);
    return done !== 0 ? done : (a.mid?.messages ?? 0) - (b.mid?.messages ?? 0);
  },
  insideTransaction({ mid }) {
    return mid !== null;
  },
};

function isRecord(json: JsonValue): json is { readonly [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isCount(json: JsonValue | undefined): json is number {
  return typeof json === 'number' && Number.isSafeInteger(json) && json >= 0;
}

function invalid(): HeadwaterError {
  return new HeadwaterError(
    'state.position-invalid',
    'A PostgreSQL position has the form {"lsn":"0/16B3748"}, with "mid":{"commit_lsn","done"} inside a transaction.',
  );
}
