/** Random histories of overlapping transactions, polled and killed in between: the topic replayed is the table. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OracleValue } from '../../src/readers/oracle/session/oracle-session.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { rowsAt } from '../support/oracle/fake-statements.ts';
import { serverWith } from '../support/oracle/harness.ts';
import { PollHarness } from '../support/oracle/poll-harness.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';

type Cells = Readonly<Record<string, OracleValue>>;

const TRANSACTIONS = 3;
const TABLES = {
  'Q.STAMPED': { columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)', UPDATED: 'TIMESTAMP(6)' }, pk: ['ID'] },
  'Q.NUMBERED': { columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)' }, pk: ['ID'] },
  'Q.WHOLE': { columns: { ID: 'NUMBER(9,0)', V: 'NUMBER(9,0)' }, pk: ['ID'] },
};

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      transaction: fc.nat(TRANSACTIONS - 1),
      table: fc.nat(2),
      id: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      transaction: fc.nat(TRANSACTIONS - 1),
      keep: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 0, max: 90 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('poll' as const),
      batches: fc.option(fc.integer({ min: 1, max: 6 })),
    }),
  },
);

interface Open {
  readonly xid: string;
  readonly beganUs: number;
  readonly writes: { readonly table: number; readonly id: number; readonly values: Cells }[];
}

class History {
  readonly server: FakeOracle = serverWith(TABLES);
  readonly #open: (Open | null)[] = Array.from({ length: TRANSACTIONS }, () => null);
  #count = 0;
  #sequence = 6;

  write(transaction: number, table: number, id: number): void {
    const { server } = this;
    const own = (this.#open[transaction] ??= {
      xid: `X${++this.#count}`,
      beganUs: server.clockUs,
      writes: [],
    });
    const v = String(++this.#count);
    // Rows that go by a number take the next one of a sequence, and stay as they are.
    const place = table === 1 ? ++this.#sequence : id;
    // Two transactions do not write one row at once: the second would wait.
    if (
      this.#open.some(
        (other) => other !== own && other?.writes.some((w) => w.table === table && w.id === place),
      )
    )
      return;
    const text = new Date(server.clockUs / 1000).toISOString().slice(0, -1);
    const updated = table === 0 ? { UPDATED: `${text}000000` } : {};
    own.writes.push({ table, id: place, values: { ID: String(place), V: v, ...updated } });
    this.#told();
  }

  end(transaction: number, keep: boolean): void {
    const own = this.#open[transaction];
    this.#open[transaction] = null;
    this.#told();
    if (own === null || own === undefined || !keep) return;
    const { server } = this;
    server.currentScn += 1n;
    for (const { table, id, values } of own.writes) {
      const { rows, dataObjectId } = server.tables[table]!;
      rows.push({ scn: server.currentScn, rowId: rowIdOf(Number(dataObjectId), 1, id), values });
    }
  }

  wait(seconds: number): void {
    this.server.clockUs += seconds * 1_000_000;
    this.#told();
  }

  #told(): void {
    const { server } = this;
    server.transactions = this.#open.flatMap((own) =>
      own === null ? [] : [{ xid: own.xid, seconds: Math.round((server.clockUs - own.beganUs) / 1_000_000) }],
    );
  }
}

test('what is polled comes to what the tables hold, and no state comes twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(8), fc.array(step, { minLength: 5, maxLength: 40 }), async (begun, steps) => {
      const history = new History();
      const { server } = history;
      const harness = new PollHarness(server, {
        timeZone: 'UTC',
        batchRows: 2,
        tables: {
          'Q.STAMPED': { mode: 'timestamp', timestamp: ['UPDATED'] },
          'Q.NUMBERED': { mode: 'incrementing', incrementing: 'ID' },
        },
      });
      for (let id = 1; id <= 6; id++) for (const table of [0, 1, 2]) history.write(0, table, id);
      history.end(0, true);
      history.wait(1);
      // Numbers begin when nobody writes any: otherwise that is waited for.
      if (begun > 0) await harness.run(begun);
      await harness.run();
      for (const each of steps) {
        if (each.kind === 'write') history.write(each.transaction, each.table, each.id);
        else if (each.kind === 'end') history.end(each.transaction, each.keep);
        else if (each.kind === 'wait') history.wait(each.seconds);
        else await harness.run(each.batches ?? undefined);
      }
      for (let transaction = 0; transaction < TRANSACTIONS; transaction++) history.end(transaction, true);
      history.wait(1);
      await harness.run();
      await harness.run();
      for (const [index, name] of Object.keys(TABLES).entries()) {
        const held = rowsAt(server.tables[index]!, server.currentScn).map(({ values }) => [
          values['ID'],
          values['V'],
        ]);
        const replayed = harness.replayed(name, ['ID']).map((text) => {
          const row = JSON.parse(text) as Cells;
          return [row['ID'], row['V']];
        });
        const sorted = (rows: readonly unknown[]): readonly string[] =>
          rows.map((row) => JSON.stringify(row)).sort();
        expect(sorted(replayed), name).toEqual(sorted(held));
        const states = harness.events
          .filter(({ op, table }) => op !== 'r' && table === name)
          .map(({ after }) => after?.['V']);
        expect(new Set(states).size, name).toBe(states.length);
      }
      expect(harness.close()).toEqual([]);
    }),
    { numRuns: 25 },
  );
});
