/** How long an event of a topic waits for the tables that it is joined with. */
import { describe, expect, it } from 'vitest';
import { checkedProgram } from '../support/checked-program.ts';
import type { Fetched, TopicReader } from '../../src/emitter/topic-reader.ts';
import { POSITION_HEADER } from '../../src/model/log-position.ts';
import { ProcessingLog } from '../../src/enrichment/run/processing-log.ts';
import { Query } from '../../src/enrichment/run/query.ts';
import { QueryProblems } from '../../src/enrichment/run/query-problems.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';
import { type TableTimes, TimeCursor } from '../../src/enrichment/state/timeline.ts';
import { type JoinWaits, TopicTask } from '../../src/enrichment/topics/topic-task.ts';
import { JoinedTimes, type PlacedTable } from '../../src/enrichment/topics/joined-times.ts';
import { SILENT } from '../../src/observability/log.ts';

const TIME = 1_700_000_000_000;
const SQL = `CREATE STREAM E (N INT) WITH (KAFKA_TOPIC = 'e', VALUE_FORMAT = 'JSON');
  CREATE STREAM O AS SELECT * FROM E;`;

class Rig implements Disposable {
  readonly rows: (readonly SqlValue[])[] = [];
  /** Of a log that does not move by itself. */
  readonly times = {
    horizon: 0,
    live: true,
    asked: 0,
    cursor: () => new TimeCursor({ transaction: 0, position: 'p' }),
    ask(): void {
      this.asked++;
    },
    enter: () => {},
    leave: () => {},
    idle: (_cursor: TimeCursor, asOfMs: number): void => void this.idle.push(asOfMs),
  };
  /** Up to when all that had been written was worked off, as told while nothing is to be done. */
  readonly idle: number[] = [];
  readonly #stop = new AbortController();
  readonly running: Promise<void>;

  /** `placed`: a table of a topic, in place of a captured one. */
  constructor(waits: JoinWaits, reader = oneRecord(), placed: PlacedTable | null = null) {
    const program = checkedProgram(SQL);
    const plan = program.queries[0]!;
    const processing = new ProcessingLog(SILENT);
    const target = {
      emit: ({ row }: { row: readonly SqlValue[] }) => {
        this.rows.push(row);
        return null;
      },
    };
    const task = new TopicTask(
      {
        plan,
        source: plan.input.topic!,
        query: new Query(plan, {
          target,
          problems: new QueryProblems(plan, processing, null),
          ahead: new Set(),
          aggregation: null,
        }),
        reader,
        sink: { ready: () => undefined },
        processing,
        schemas: { reader: null, signal: this.#stop.signal },
        deadLetters: null,
        times: new JoinedTimes([
          {
            times: this.times as unknown as TableTimes,
            cursor: this.times.cursor(),
            name: null,
            placed,
          },
        ]),
        ...waits,
        outputs: [],
        onProgress: () => {},
        onEvent: null,
      },
      [0],
      [1],
    );
    this.running = task.run(this.#stop.signal);
  }

  /** Until it has asked for more of the log, again and again. */
  async waits(): Promise<void> {
    const before = this.times.asked;
    while (this.times.asked < before + 5) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async arrives(): Promise<void> {
    while (this.rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

const FETCHED: Omit<Fetched, 'endAsOf'> = {
  partition: 0,
  records: [{ offset: 0, key: null, value: Buffer.from('{"n":1}'), headers: [], timestamp: TIME }],
  position: 1,
};

/** After so many answers without anything. */
function oneRecord(late = 0): TopicReader {
  const answers: (readonly Omit<Fetched, 'endAsOf'>[])[] = [
    ...Array.from({ length: late }, () => []),
    [FETCHED],
  ];
  return {
    open: () => Promise.resolve(1),
    range: () => Promise.resolve({ start: 0, end: 1 }),
    written: () => Promise.resolve([1]),
    start: () => {},
    pause: () => {},
    poll: async () => {
      const now = answers.shift() ?? [];
      if (now.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      return now.map((each) => ({ ...each, endAsOf: Date.now() }));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

describe('an event that tells its place in the log', () => {
  const header = [POSITION_HEADER, Buffer.from(`${TIME * 1000}:0`)] as const;
  const reader = (): TopicReader => {
    let left = 1;
    return {
      ...oneRecord(),
      poll: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const records = FETCHED.records.map((record) => ({ ...record, headers: [header] }));
        return left-- > 0 ? [{ ...FETCHED, records, endAsOf: null }] : [];
      },
    };
  };

  class Table implements PlacedTable {
    readonly exact = true;
    asked = 0;
    whole = false;

    isWhole(place: number): boolean {
      return this.whole && place === TIME;
    }

    ask(): void {
      this.asked++;
    }

    reachedBy(): number {
      return -Infinity;
    }
  }

  it('waits until all of its tables up to there is applied, whatever their times are', async () => {
    const table = new Table();
    using rig = new Rig({ skewMs: 0, maxWaitMs: Infinity }, reader(), table);
    rig.times.horizon = Infinity;
    while (table.asked < 5) await new Promise((resolve) => setTimeout(resolve, 1));
    expect([rig.rows, rig.times.asked]).toEqual([[], 0]);
    table.whole = true;
    await rig.arrives();
  });

  it('asks before it has waited for long enough', async () => {
    const table = new Table();
    using rig = new Rig({ skewMs: 0, maxWaitMs: 20 }, reader(), table);
    await rig.arrives();
    expect(table.asked).toBeGreaterThan(0);
  });
});

describe('an event of a topic', () => {
  it('waits until the log of its tables has been read beyond its time by the skew', async () => {
    using rig = new Rig({ skewMs: 50, maxWaitMs: Infinity });
    rig.times.horizon = TIME + 49;
    await rig.waits();
    expect(rig.rows).toEqual([]);
    rig.times.horizon = TIME + 50;
    await rig.arrives();
  });

  it('waits no longer than it may', async () => {
    using rig = new Rig({ skewMs: 0, maxWaitMs: 0 });
    await rig.arrives();
    expect(rig.rows).toEqual([[1]]);
  });

  it('sees its tables as of its time however long its topic takes to answer after a start', async () => {
    using rig = new Rig({ skewMs: 0, maxWaitMs: 0 }, oneRecord(20));
    await rig.arrives();
    // The tables' log is read meanwhile, and what it replaces has to be kept: nothing is known of the topic yet.
    expect(rig.idle.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => -Infinity));
    const since = Date.now() - 1_000;
    while (!rig.idle.some((asOf) => asOf > since)) await new Promise((resolve) => setTimeout(resolve, 1));
  });
});
