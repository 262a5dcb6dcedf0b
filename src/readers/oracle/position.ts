import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue, PositionCodec } from '../../model/position.ts';
import { parseScn } from './scn.ts';

/** Transactions of one redo thread that committed at `scn`, and are delivered. */
export interface ThreadCommits {
  readonly scn: bigint;
  readonly xids: readonly string[];
}

/** The transaction that is being delivered: `done` changes of it are. */
export interface OpenDelivery {
  readonly xid: string;
  readonly done: number;
  /** What the number was counted with: under other settings it means nothing. */
  readonly filter: string;
}

/**
 * Where the redo log is resumed (docs/decisions/0020).
 *
 * Mining starts behind `scn`, which lies before the first change of every transaction that was open. What
 * committed at or below `read` is delivered; so is, of each redo thread, what committed before its mark in
 * `commits`, and at the mark the transactions it names (two instances may commit at one SCN). `upTo` is how far
 * the log has been looked through: past `read` as long as an instance may still flush redo of before.
 */
export interface OraclePosition {
  readonly scn: bigint;
  readonly read: bigint;
  readonly upTo: bigint;
  readonly commits: ReadonlyMap<number, ThreadCommits>;
  readonly mid: OpenDelivery | null;
}

/** Whether a commit was delivered before this position. */
export function isDelivered(
  position: OraclePosition,
  commit: { readonly scn: bigint; readonly thread: number; readonly xid: string },
): boolean {
  if (commit.scn <= position.read) return true;
  const mark = position.commits.get(commit.thread);
  if (mark === undefined) return false;
  return commit.scn < mark.scn || (commit.scn === mark.scn && mark.xids.includes(commit.xid));
}

/** A place between transactions: all that committed at or below `scn` is delivered. */
export function positionAt(scn: bigint, from = scn): OraclePosition {
  return { scn: from, read: scn, upTo: scn, commits: new Map(), mid: null };
}

/** The marks after one more commit. */
export function withCommit(
  commits: ReadonlyMap<number, ThreadCommits>,
  { scn, thread, xid }: { readonly scn: bigint; readonly thread: number; readonly xid: string },
): ReadonlyMap<number, ThreadCommits> {
  const mark = commits.get(thread);
  const xids = mark !== undefined && mark.scn === scn ? [...mark.xids, xid] : [xid];
  return new Map(commits).set(thread, { scn, xids });
}

/**
 * JSON form: `{"scn":"8211","read":"8304","up_to":"8310","commit_scn":"8305:1:0a001100e8030000"}`, several threads apart by
 * commas and several transactions by hyphens; inside a transaction also `"mid":{"tx_id","done","filter"}`.
 */
export const ORACLE_POSITIONS: PositionCodec<OraclePosition> = {
  encode({ scn, read, upTo, commits, mid }) {
    const marks = [...commits]
      .sort(([a], [b]) => a - b)
      .map(([thread, mark]) => `${mark.scn}:${thread}:${mark.xids.join('-')}`);
    return {
      scn: String(scn),
      read: String(read),
      up_to: String(upTo),
      commit_scn: marks.join(','),
      ...(mid === null ? {} : { mid: { tx_id: mid.xid, done: mid.done, filter: mid.filter } }),
    };
  },
  decode(json) {
    if (!isRecord(json)) throw invalid();
    const scn = parseScn(json['scn']);
    const read = parseScn(json['read']);
    const upTo = parseScn(json['up_to']);
    if (scn === null || read === null || upTo === null || scn > read || read > upTo) throw invalid();
    return {
      scn,
      read,
      upTo,
      commits: decodeCommits(json['commit_scn']),
      mid: decodeMid(json['mid'] ?? null),
    };
  },
  /** By what is delivered: where mining restarts says nothing about it. */
  compare(a, b) {
    if (a.upTo !== b.upTo) return a.upTo < b.upTo ? -1 : 1;
    const sums = sumOfScns(a) - sumOfScns(b);
    if (sums !== 0n) return sums < 0n ? -1 : 1;
    const counts = countOfXids(a) - countOfXids(b);
    return counts !== 0 ? counts : (a.mid?.done ?? 0) - (b.mid?.done ?? 0);
  },
  insideTransaction({ mid }) {
    return mid !== null;
  },
};

/** Marks only ever move on, so their sum does. */
function sumOfScns({ commits, upTo }: OraclePosition): bigint {
  let sum = 0n;
  // A mark at or below `upTo` says nothing beyond it, and what is asked for as a goal has none.
  for (const { scn } of commits.values()) if (scn > upTo) sum += scn;
  return sum;
}

function countOfXids({ commits, upTo }: OraclePosition): number {
  let count = 0;
  for (const { scn, xids } of commits.values()) if (scn > upTo) count += xids.length;
  return count;
}

function decodeCommits(json: JsonValue | undefined): ReadonlyMap<number, ThreadCommits> {
  if (typeof json !== 'string') throw invalid();
  const commits = new Map<number, ThreadCommits>();
  if (json === '') return commits;
  for (const part of json.split(',')) {
    const match = /^(\d{1,20}):(\d{1,5}):([0-9a-f]{16}(?:-[0-9a-f]{16})*)$/.exec(part);
    if (match === null) throw invalid();
    commits.set(Number(match[2]), { scn: BigInt(match[1]!), xids: match[3]!.split('-') });
  }
  return commits;
}

function decodeMid(json: JsonValue): OpenDelivery | null {
  if (json === null) return null;
  if (!isRecord(json)) throw invalid();
  const { tx_id: xid, done, filter } = json;
  if (typeof xid !== 'string' || !/^[0-9a-f]{16}$/.test(xid) || typeof filter !== 'string') throw invalid();
  if (typeof done !== 'number' || !Number.isSafeInteger(done) || done < 1) throw invalid();
  return { xid, done, filter };
}

function isRecord(json: JsonValue | undefined): json is { readonly [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function invalid(): HeadwaterError {
  return new HeadwaterError(
    'state.position-invalid',
    'An Oracle position has the form {"scn":"8211","read":"8304","up_to":"8310","commit_scn":"8305:1:0a001100e8030000"}, with "mid":{"tx_id","done","filter"} inside a transaction.',
  );
}
