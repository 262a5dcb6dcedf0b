import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecentRing } from '../../src/pipeline/recent.ts';

test('is what a list of all samples would show, however time goes', () => {
  const step = fc.record({
    ms: fc.integer({ min: -3_000, max: 900_000 }),
    records: fc.nat(1_000),
    lag: fc.option(fc.nat(9_000)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 1_000_000_000_000;
      let newest = Math.floor(now / 5_000);
      const ring = new RecentRing(now);
      const model = new Map<number, { records: number; lag: number | null }>();
      for (const { ms, records, lag } of steps) {
        now += ms;
        newest = Math.max(newest, Math.floor(now / 5_000));
        ring.add(records, now);
        ring.lag(lag, now);
        const { records: sum, lag: most } = model.get(newest) ?? { records: 0, lag: null };
        model.set(newest, {
          records: sum + records,
          lag: lag === null ? most : most === null ? lag : Math.max(lag, most),
        });
      }
      const wanted = Array.from({ length: 119 }, (_, n) => model.get(newest - 119 + n));
      const { recordsPerSecond, lagMs, until } = ring.recent(now);
      expect(recordsPerSecond).toEqual(wanted.map((sample) => (sample?.records ?? 0) / 5));
      expect(lagMs).toEqual(wanted.map((sample) => sample?.lag ?? null));
      expect(Date.parse(until)).toBe(newest * 5_000);
    }),
  );
});
