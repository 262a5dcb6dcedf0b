/** The candidate most like `word`, or null where none is near enough to be what was meant. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let least = Infinity;
  const plain = normal(word);
  for (const candidate of candidates) {
    const other = normal(candidate);
    const steps = distance(plain, other);
    const short = Math.min(plain.length, other.length);
    const part = short >= 3 && (plain.startsWith(other) || other.startsWith(plain));
    const limit = part ? Infinity : Math.max(1, Math.floor(Math.max(plain.length, other.length) / 3));
    if (steps <= limit && steps < least) {
      best = candidate;
      least = steps;
    }
  }
  return best;
}

function normal(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/** Levenshtein, with a swap of neighbours as one step: most slips of the finger are one step away. */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let steps = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        steps = Math.min(steps, before[j - 2]! + 1);
      }
      row.push(steps);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
