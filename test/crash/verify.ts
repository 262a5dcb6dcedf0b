import type { Op } from './workload.ts';

/** One record of a table's topic as a read_committed consumer sees it, in partition order. */
export interface TopicRecord {
  readonly table: Op['table'];
  readonly partition: number;
  readonly offset: bigint;
  /** Null for a tombstone. */
  readonly value: {
    readonly op: 'r' | 'c' | 'u' | 'd';
    readonly before: Record<string, unknown> | null;
    readonly after: Record<string, unknown> | null;
    readonly source: { readonly lsn: number };
  } | null;
  readonly key: string;
}

export interface Verdict {
  readonly problems: readonly string[];
  /** Latest revision per key that a reader of the topic ends with: table → key → rev. */
  readonly state: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly events: number;
  readonly reads: number;
}

/**
 * Holds the topics against the writer's own record. Per key, the changes in the topic must be the end of that
 * key's committed changes, complete, in order, each once; and a snapshot row must show the state that the changes
 * before it lead to. `streamedFrom` is the number of committed ops that are known to be older than the slot:
 * everything after them must be there as a change.
 */
export function verify(
  committed: readonly Op[],
  records: readonly TopicRecord[],
  streamedFrom: number,
): Verdict {
  const problems: string[] = [];
  const expected = new Map<string, { op: Op; index: number }[]>();
  committed.forEach((op, index) => {
    const id = `${op.table} ${op.key}`;
    const list = expected.get(id) ?? [];
    list.push({ op, index });
    expected.set(id, list);
  });
  const seen = new Map<string, { op: string; rev: number | null }[]>();
  const partitions = new Map<string, number>();
  const state = new Map<string, Map<string, number>>();
  let events = 0;
  let reads = 0;
  for (const record of records) {
    const id = `${record.table} ${record.key}`;
    if (record.table !== 'log') {
      const partition = partitions.get(id);
      if (partition !== undefined && partition !== record.partition) problems.push(`${id} in two partitions`);
      partitions.set(id, record.partition);
    }
    const rows = state.get(record.table) ?? new Map<string, number>();
    state.set(record.table, rows);
    if (record.value === null) {
      rows.delete(record.key);
      continue;
    }
    const { op, before, after } = record.value;
    if (op === 'r') reads++;
    else events++;
    const rev = after === null ? null : Number(after.rev);
    if (op === 'd') rows.delete(record.key);
    else rows.set(record.key, rev!);
    const list = seen.get(id) ?? [];
    list.push({ op, rev: op === 'd' && before !== null && before.rev != null ? Number(before.rev) : rev });
    seen.set(id, list);
  }
  for (const [id, list] of seen) {
    const ops = expected.get(id);
    if (ops === undefined) {
      problems.push(`${id} is in the topic but was never committed`);
      continue;
    }
    const changes = list.filter((entry) => entry.op !== 'r');
    const tail = ops.slice(ops.length - changes.length);
    if (changes.length > ops.length) {
      problems.push(
        `${id}: ${changes.length} changes in the topic, ${ops.length} committed: ${render(list)}`,
      );
      continue;
    }
    changes.forEach((change, i) => {
      const { op } = tail[i]!;
      const revMatches =
        change.op === 'd' ? change.rev === null || change.rev === op.rev : change.rev === op.rev;
      if (change.op !== op.op || !revMatches) {
        problems.push(
          `${id}: change ${i} is ${change.op} ${change.rev}, committed ${op.op} ${op.rev}: ${render(list)}`,
        );
      }
    });
    let position = ops.length - changes.length;
    let rowReads = 0;
    for (const entry of list) {
      if (entry.op !== 'r') {
        position++;
        continue;
      }
      rowReads++;
      const reached = ops[position - 1]?.op;
      if (reached === undefined || reached.op === 'd' || reached.rev !== entry.rev) {
        problems.push(`${id}: snapshot row shows ${entry.rev} out of place: ${render(list)}`);
      }
    }
    // A table without a key begins its snapshot again after a crash; that is documented.
    if (rowReads > 1 && !id.startsWith('log ')) problems.push(`${id}: ${rowReads} snapshot rows`);
  }
  for (const [id, ops] of expected) {
    // The table without a key is read again as of a later position: its rows up to there come as snapshot rows.
    const keyless = id.startsWith('log ');
    const changes = (seen.get(id) ?? []).filter((entry) => keyless || entry.op !== 'r').length;
    const due = ops.filter((entry) => entry.index >= streamedFrom).length;
    if (changes < due)
      problems.push(`${id}: ${due} changes committed after the slot, ${changes} in the topic`);
  }
  return { problems, state, events, reads };
}

function render(list: readonly { op: string; rev: number | null }[]): string {
  return list.map((entry) => `${entry.op}${entry.rev ?? ''}`).join(' ');
}
