import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COSTS, DEFAULT_LOAD, type Load, simulate } from '../../bench/cost-model.ts';
import { fleetReport, perSecond } from '../../bench/fleet-report.ts';

const FIGURES = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');

function load(more: Partial<Load>): Load {
  return { ...DEFAULT_LOAD, databases: 1, tables: 1, events: 0, busiest: 0, ...more };
}

/** The numbers in the cells of the first line of a table of figures that begins so; NaN where a cell has none. */
function numbersOf(row: string): readonly number[] {
  const line = FIGURES.split('\n').find((each) => each.startsWith(`| ${row}`));
  if (line === undefined) throw new Error(`docs/performance.md has no figures of ${row}`);
  return line
    .split('|')
    .slice(2, -1)
    .map((cell) => Number(/[\d,.]+/.exec(cell)?.[0].replaceAll(',', '')));
}

/** Events a second, events a CPU second, MB. */
function measured(row: string): {
  readonly rate: number;
  readonly perCpuSecond: number;
  readonly peakMb: number;
} {
  const [rate = NaN, perCpuSecond = NaN, peakMb = NaN] = numbersOf(row);
  return { rate, perCpuSecond, peakMb };
}

describe('the cost model beside the benchmark’s figures', () => {
  it.each([
    'catch-up, Headwater exactly-once',
    'catch-up, Headwater at-least-once',
    'snapshot, Headwater exactly-once',
    'snapshot, Headwater at-least-once',
  ])('%s: cores and memory of one pipeline', (row) => {
    const { rate, perCpuSecond, peakMb } = measured(row);
    const fleet = simulate(load({ events: rate, standbys: 0 }));
    const cores = rate / perCpuSecond;
    // Rather too many than too few.
    expect(fleet.busyCores).toBeGreaterThan(cores);
    expect(fleet.busyCores).toBeLessThan(cores * 1.3);
    expect(fleet.memoryMb).toBeGreaterThan(peakMb * 0.95);
    expect(fleet.memoryMb).toBeLessThan(peakMb * 1.3);
  });

  it.each([0, 1])('memory of a process with many tables (column %d)', (column) => {
    const tables = numbersOf('tables to Kafka')[column]!;
    const peakMb = numbersOf('peak memory')[column]!;
    const { memoryMb } = simulate(load({ tables, standbys: 0 }));
    expect(memoryMb).toBeGreaterThan(peakMb * 0.95);
    expect(memoryMb).toBeLessThan(peakMb * 1.3);
  });

  it('joined tables in memory, and on disk', () => {
    const rows = 5_000_000;
    const [, , , memory = NaN] = numbersOf('memory ');
    const [, , , anonymous = NaN, , disk = NaN] = numbersOf('LMDB ');
    const inMemory = (joinRows: number, costs = COSTS): number =>
      simulate(load({ joinRows, standbys: 0, instanceMb: 100_000 }), costs).memoryMb;
    // As if the limit were set higher.
    const kept = inMemory(rows, { ...COSTS, joinLimitMb: Infinity });
    expect(kept).toBeGreaterThan(memory * 0.95);
    // The benchmark's process does nothing else.
    expect(kept).toBeLessThan(memory + COSTS.processMb);
    const spilled = simulate(load({ joinRows: rows, standbys: 0 }));
    expect(spilled.memoryMb - COSTS.joinLimitMb).toBeGreaterThan(anonymous * 0.95);
    expect(spilled.memoryMb - COSTS.joinLimitMb).toBeLessThan(anonymous + COSTS.processMb);
    expect(spilled.diskMb).toBeGreaterThan(disk);
    expect(spilled.diskMb).toBeLessThan(disk * 1.3);
    expect(simulate(load({ joinRows: 1_000_000 })).diskMb).toBe(0);
  });

  it('idle: share of a core', () => {
    const percent = Number(/Idle: ([\d.]+) % of a core/.exec(FIGURES)?.[1]);
    expect(simulate(load({})).busyCores * 100).toBeCloseTo(percent, 1);
  });
});

describe('a fleet', () => {
  it('grows with the events, and not with idle databases', () => {
    const many = simulate(load({ databases: 500, tables: 20_000, events: 2_000_000 }));
    // 10 cores of decoding at 60 %.
    expect(many.instances).toBeGreaterThanOrEqual(17);
    expect(many.instances).toBeLessThanOrEqual(20);
    expect(many.partitions).toBe(20_500);
    expect(many.replicas).toBe(61_500);
    expect(simulate(load({ databases: 50, tables: 50 })).instances).toBe(1);
  });

  it('is divided where an instance would not have the memory', () => {
    const base = load({ databases: 500, tables: 20_000 });
    expect(simulate(base).instances).toBeGreaterThan(1);
    expect(simulate({ ...base, instanceMb: 16_000 }).instances).toBe(1);
    expect(simulate(base).instanceMb).toBeLessThan(base.instanceMb * 1.1);
  });

  it('one log is read by one core, however many instances there are', () => {
    const even = simulate(load({ databases: 10, tables: 10, events: 300_000 }));
    expect(even.ceilings).toEqual([]);
    const skewed = simulate(load({ databases: 10, tables: 10, events: 300_000, busiest: 0.9 }));
    expect(skewed.ceilings).toEqual([expect.stringContaining('270000 events/s')]);
  });

  it('more of anything never needs less', () => {
    const base = load({ databases: 20, tables: 400, events: 400_000, joinRows: 1_000_000 });
    const less = simulate(base);
    const more: readonly Partial<Load>[] = [
      { tables: 4000 },
      { events: 800_000 },
      { joinRows: 10_000_000 },
      { standbys: 2 },
      { use: 0.3 },
    ];
    for (const change of more) {
      const grown = simulate({ ...base, ...change });
      for (const figure of [
        'instances',
        'cores',
        'busyCores',
        'memoryMb',
        'networkOut',
        'partitions',
      ] as const)
        expect(grown[figure]).toBeGreaterThanOrEqual(less[figure]);
    }
  });

  it('joined tables and partitions have their ceilings', () => {
    const joins = simulate(load({ joinRows: 100_000_000 }));
    expect(joins.diskMb).toBeGreaterThan(10_000);
    expect(joins.ceilings).toEqual([expect.stringContaining('joined rows outgrow it')]);
    const topics = simulate(load({ databases: 500, tables: 100_000 }));
    expect(topics.ceilings).toEqual([expect.stringContaining('partition replicas')]);
  });

  it('a table whose bytes outgrow a partition gets more of them', () => {
    const { partitions } = simulate(load({ events: 150_000 }));
    expect(partitions).toBe(Math.ceil((150_000 * COSTS.bytesPerEvent * COSTS.compressed) / 10_000_000) + 1);
  });
});

describe('npm run simulate', () => {
  it.each([
    ['2000000/s', 2_000_000],
    ['2e6/s', 2_000_000],
    ['1.5', 1.5],
  ])('reads %s', (text, value) => {
    expect(perSecond(text)).toBe(value);
  });

  it.each(['', '2 million', '-1/s', '1e999/s', '5/min'])('refuses "%s"', (text) => {
    expect(() => perSecond(text)).toThrow('--events');
  });

  it('prints a line a figure', () => {
    const fleet = simulate(load({ databases: 500, tables: 20_000, events: 2_000_000 }));
    expect(
      fleetReport(fleet)
        .split('\n')
        .map((line) => line.slice(0, 12).trim()),
    ).toEqual(['instances', 'cores', 'memory', 'disk', 'network in', 'network out', 'partitions', '']);
  });
});
