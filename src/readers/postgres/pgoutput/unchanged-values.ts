import { ABSENT, type Row, UNCHANGED, type Value } from '../../../model/value.ts';

/** First rung of the ladder: the old row knows. False where something is still unknown. */
export function fillUnchanged(after: Value[], before: Row): boolean {
  let complete = true;
  for (let i = 0; i < after.length; i++) {
    if (after[i] !== UNCHANGED) continue;
    const old = before[i]!;
    if (old === UNCHANGED || old === ABSENT) complete = false;
    else after[i] = old;
  }
  return complete;
}
