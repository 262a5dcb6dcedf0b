import { formatCount, formatDuration } from './quantities.ts';
import type { TableStatus } from './status.ts';

/** A table's dead letters in a sentence; null where there are none. */
export function deadLetterText({ deadLetters, lastDeadLetter }: TableStatus, now: number): string | null {
  if (lastDeadLetter === null) return null;
  const { at, code, message } = lastDeadLetter;
  const count = deadLetters === 1 ? '1 change' : `${formatCount(deadLetters)} changes`;
  const ago = formatDuration(Math.max(0, now - Date.parse(at)));
  return `${count} in the dead-letter topic, the last ${ago} ago (${code}): ${message}`;
}
