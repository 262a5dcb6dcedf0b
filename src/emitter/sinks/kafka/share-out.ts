/** An instance of a fleet and what it has. */
export interface Sharer {
  readonly id: string;
  /** What it was given before. */
  readonly shares: readonly string[];
  /** What it runs at the moment. */
  readonly holds: readonly string[];
}

/**
 * Who of a fleet had better run which pipeline: as evenly as can be (the numbers differ by one at most), with as
 * few moves as that allows. What has to move goes to who runs it already, where that one has room. The same
 * whoever works it out.
 */
export function shareOut(
  members: readonly Sharer[],
  pipelines: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>(members.map(({ id }) => [id, []]));
  if (members.length === 0) return result;
  const left = new Set(pipelines.toSorted());
  const own = new Map<string, readonly string[]>();
  for (const { id, shares } of members.toSorted(byId)) {
    const kept = shares.filter((name) => left.delete(name));
    own.set(id, kept);
  }
  const least = Math.floor(pipelines.length / members.length);
  // Those that have most keep one more, where it does not come out even.
  const most = members.toSorted(
    (a, b) => own.get(b.id)!.length - own.get(a.id)!.length || b.holds.length - a.holds.length || byId(a, b),
  );
  const room = new Map(
    most.map(({ id }, rank) => [id, rank < pipelines.length % members.length ? least + 1 : least]),
  );
  for (const { id, holds } of most) {
    const kept = own
      .get(id)!
      .toSorted((a, b) => Number(holds.includes(b)) - Number(holds.includes(a)) || (a < b ? -1 : 1));
    result.get(id)!.push(...kept.slice(0, room.get(id) ?? 0));
    for (const name of kept.slice(room.get(id) ?? 0)) left.add(name);
  }
  const give = (id: string, name: string): void => {
    result.get(id)!.push(name);
    left.delete(name);
  };
  const hasRoom = (id: string): boolean => result.get(id)!.length < room.get(id)!;
  for (const { id, holds } of most) {
    for (const name of holds) if (left.has(name) && hasRoom(id)) give(id, name);
  }
  for (const name of [...left].toSorted()) {
    const next = most
      .filter(({ id }) => hasRoom(id))
      .toSorted((a, b) => result.get(a.id)!.length - result.get(b.id)!.length || byId(a, b))[0]!;
    give(next.id, name);
  }
  return result;
}

function byId(a: Sharer, b: Sharer): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
