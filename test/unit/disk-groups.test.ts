import { expect, it } from 'vitest';
import { MemoryGroupTexts } from '../../src/enrichment/state/bulk-groups.ts';
import { DiskGroups } from '../../src/enrichment/state/disk-groups.ts';
import { type Group, GroupCodec } from '../../src/enrichment/state/group.ts';
import { BIGINT } from '../../src/enrichment/sql/sql-type.ts';

const PREFIX = 'enrich-group/T/';
const codec = new GroupCodec([BIGINT], []);

function groupsOver(texts: MemoryGroupTexts, known: boolean): DiskGroups {
  return new DiskGroups(codec, { texts, prefix: PREFIX, known, sessions: false });
}

function add(groups: DiskGroups, key: number, start: number): Group {
  const window = { start, end: start + 10 };
  const keyText = codec.keyText([key]);
  const id = codec.idOf(keyText, window);
  const group: Group = { id, keys: [key], key, window, states: [], time: start, shown: true, rows: 1 };
  groups.add(group, keyText);
  return group;
}

/** What a sink does with a commit, up to its end. */
function commit(groups: DiskGroups, texts: MemoryGroupTexts): void {
  const changed = groups.flush();
  groups.committing();
  for (const [id, text] of changed) texts.set(PREFIX + id, text);
  groups.committed();
}

it('lets go of windows that are over when a quarter of all groups is new, also after a start', () => {
  const texts = new MemoryGroupTexts();
  let groups = groupsOver(texts, false);
  const sweep = (horizon: number): number => {
    let gone = 0;
    do {
      for (const group of groups.stale(({ end }) => end > horizon)) {
        groups.delete(group);
        gone++;
      }
    } while (groups.sweeping);
    return gone;
  };
  for (let key = 0; key < 8_000; key++) add(groups, key, (key % 8) * 10);
  commit(groups, texts);
  expect(sweep(40)).toBe(4_000);
  commit(groups, texts);
  expect([groups.size, texts.size]).toEqual([4_000, 4_000]);
  for (let key = 8_000; key < 8_900; key++) add(groups, key, 80);
  expect(sweep(60)).toBe(0);
  for (let key = 8_900; key < 9_500; key++) add(groups, key, 80);
  commit(groups, texts);
  expect(sweep(60)).toBe(2_000);
  commit(groups, texts);
  expect([groups.size, texts.size]).toEqual([3_500, 3_500]);
  groups = groupsOver(texts, true);
  expect(groups.size).toBe(3_500);
  expect(sweep(70)).toBe(1_000);
  expect([...groups.values()].every(({ window }) => window !== null && window.end > 70)).toBe(true);
});

it('looks at some of them at a time, and finds them as they are by then', () => {
  const texts = new MemoryGroupTexts();
  const groups = groupsOver(texts, false);
  const all = Array.from({ length: 1_000 }, (_, key) => add(groups, key, 0));
  commit(groups, texts);
  let looked = 0;
  const gone: Group[] = [];
  const sweep = (): void => {
    for (const group of groups.stale(() => ++looked < 0)) {
      groups.delete(group);
      gone.push(group);
    }
  };
  sweep();
  expect([looked, gone.length, groups.sweeping]).toEqual([100, 100, true]);
  const [changed, deleted, flushed] = [all[997]!, all[998]!, all[999]!];
  flushed.rows = 3;
  groups.touch(flushed);
  groups.flush();
  changed.rows = 2;
  groups.touch(changed);
  groups.delete(deleted);
  while (groups.sweeping) sweep();
  expect(gone).toHaveLength(999);
  expect(gone.slice(-2).map(({ id, rows }) => [id, rows])).toEqual([
    [changed.id, 2],
    [flushed.id, 3],
  ]);
  expect([...groups.values()]).toEqual([]);
});

it('sees nothing of groups that are of no use, until the commit that takes them away', () => {
  const texts = new MemoryGroupTexts();
  const before = groupsOver(texts, false);
  const { id } = add(before, 1, 0);
  add(before, 2, 0);
  commit(before, texts);
  const groups = groupsOver(texts, false);
  const keyText = codec.keyText([1]);
  // One that has begun without knowing of them.
  groups.committing();
  groups.committed();
  expect([groups.size, groups.get(id, keyText), [...groups.values()]]).toEqual([0, undefined, []]);
  const again = add(groups, 1, 0);
  again.rows = 7;
  const changed = groups.flush();
  groups.committing();
  texts.set(`${PREFIX}${codec.idOf(codec.keyText([2]), again.window)}`, null);
  for (const [each, text] of changed) texts.set(PREFIX + each, text);
  expect([...groups.values()].map(({ rows }) => rows)).toEqual([7]);
  groups.committed();
  expect([...groups.values()].map(({ rows }) => rows)).toEqual([7]);
  expect(groups.get(id, keyText)?.rows).toBe(7);
});
