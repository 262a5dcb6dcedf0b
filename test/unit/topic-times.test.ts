import { expect, it } from 'vitest';
import { TopicTimes } from '../../src/emitter/sinks/kafka/topic-times.ts';

const HOUR = 3_600_000;
const NOW = 1_700_000_000_000;
const clock = (): number => NOW;

function written(settings: Readonly<Record<string, string>>, timestamp: number): number {
  const times = new TopicTimes(new Map(Object.entries(settings)));
  return times.fit({ key: null, value: 'v', headers: null, timestamp }, clock).timestamp;
}

const AFTER = 'message.timestamp.after.max.ms';
const BEFORE = 'message.timestamp.before.max.ms';
const DIFFERENCE = 'message.timestamp.difference.max.ms';
const ANY = '9223372036854775807';

it.each([
  ['not told', {}, NOW + HOUR, NOW + HOUR - 60_000],
  ['not told, in time', {}, NOW + HOUR - 60_000, NOW + HOUR - 60_000],
  ['not told, of old', {}, 5, 5],
  ['Kafka 4', { [AFTER]: '3600000', [BEFORE]: ANY }, NOW + 30 * HOUR, NOW + HOUR - 60_000],
  ['Kafka 3.6', { [AFTER]: ANY, [BEFORE]: ANY }, NOW + 999 * HOUR, NOW + 999 * HOUR],
  ['before 3.6', { [DIFFERENCE]: '1000' }, NOW + HOUR, NOW + 900],
  ['before 3.6, of old', { [DIFFERENCE]: '1000' }, NOW - HOUR, NOW - 900],
  ['the newer setting wins', { [DIFFERENCE]: '1000', [AFTER]: ANY, [BEFORE]: ANY }, NOW + HOUR, NOW + HOUR],
  ["the broker's time", { 'message.timestamp.type': 'LogAppendTime', [AFTER]: '1' }, NOW + HOUR, NOW + HOUR],
])('%s', (_, settings, timestamp, expected) => {
  expect(written(settings, timestamp)).toBe(expected);
});

it('looks at the clock again where a record is past what it last allowed', () => {
  const times = new TopicTimes(new Map([[AFTER, '1000']]));
  const record = { key: null, value: null, headers: [['h', 'x']], timestamp: NOW + 2_000 } as const;
  expect(times.fit({ ...record }, clock)).toEqual({
    ...record,
    timestamp: NOW + 900,
    headers: [
      ['h', 'x'],
      ['__headwater.timestamp', String(NOW + 2_000)],
    ],
  });
  const later = { ...record };
  expect(times.fit(later, () => NOW + 1_500)).toBe(later);
});
