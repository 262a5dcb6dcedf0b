/** Where clocks are latest on earth: what is written somewhere now is no earlier than it is there. */
const WESTERNMOST_MS = -12 * 3_600_000;

/**
 * What the clocks of a zone show at a moment, as milliseconds since 1970-01-01T00:00 of that zone; of an unknown zone
 * (null) the least that they may show.
 */
export function localTime(ms: number, timeZone: string | null): number {
  if (timeZone === null) return ms + WESTERNMOST_MS;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const seconds = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return seconds + (((ms % 1000) + 1000) % 1000);
}
