/**
 * Any log, cut into any batches, with commits anywhere they are allowed and crashes anywhere: what is committed is
 * what a reader of whole transactions computes, byte for byte.
 */
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row, Value } from '../../src/model/value.ts';
import {
  column,
  EnrichmentRig,
  type LogTransaction,
  stateAt,
  table,
  type WrittenRecord,
} from '../support/enrichment-rig.ts';
import { applyChange, attemptPlans, type TablesState, transactionLogs } from '../support/enrichment-logs.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const CUSTOMERS = table('customers', [column('id', INT), column('region', INT), column('club', TEXT)], [0]);
const REGIONS = table('regions', [column('id', INT), column('name', TEXT)], [0]);
const ORDERS = table('orders', [column('id', INT), column('customer', INT), column('note', TEXT)], [0]);
const TABLES = [CUSTOMERS, REGIONS, ORDERS];
const MODES = ['COMMIT', 'STATEMENT', 'BEFORE'] as const;
type Mode = (typeof MODES)[number];

const SQL = `
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  CREATE TABLE regions WITH (CDC_TABLE = 'shop.public.regions');
  ${MODES.map(
    (mode) => `CREATE STREAM ${mode}_JOIN AS SELECT O.id AS o, O.customer AS customer, C.club, R.name, O.note
      FROM orders O LEFT JOIN customers C FOR SYSTEM_TIME AS OF ${mode} ON O.customer = C.id
      LEFT JOIN regions R ON C.region = R.id PARTITION BY O.customer;`,
  ).join('\n')}
  CREATE STREAM inner_join AS SELECT o, customer, club FROM commit_join WHERE club IS NOT NULL;
  CREATE TABLE by_customer AS SELECT customer, COUNT(*) AS n, COUNT_DISTINCT(club) AS clubs, MAX(o) AS top
    FROM commit_join GROUP BY customer HAVING n <> 3;
`;

type State = TablesState;

function copy(state: State): State {
  return new Map([...state].map(([key, rows]) => [key, new Map(rows)]));
}

/** What the queries give, computed from whole transactions. */
function model(log: readonly LogTransaction[], snapshotAt: number): readonly string[] {
  const records: string[] = [];
  const state: State = new Map(
    [...stateAt(TABLES, log, snapshotAt)].map(([key, rows]) => [
      key,
      new Map(rows.map((row) => [row[0]!, row])),
    ]),
  );
  const groups = new Map<Value, { n: number; clubs: Set<Value>; top: number }>();
  const emit = (order: Row | null, states: Readonly<Record<Mode, State>>, seen: State): void => {
    if (order === null) return;
    const [id, customer = null, note] = order;
    const found = MODES.map((mode) => {
      const c = states[mode].get(CUSTOMERS)!.get(customer) ?? null;
      const r = c === null || c[1] === null ? null : (seen.get(REGIONS)!.get(c[1]!) ?? null);
      return { mode, club: c?.[2] ?? null, name: r?.[1] ?? null };
    });
    for (const { mode, club, name } of found) {
      records.push(
        `${mode}_JOIN ${String(customer)} ${JSON.stringify({ O: id, CLUB: club, NAME: name, NOTE: note })}`,
      );
      if (mode === 'COMMIT' && club !== null)
        records.push(`INNER_JOIN ${String(customer)} ${JSON.stringify({ O: id, CLUB: club })}`);
      if (mode === 'COMMIT' && customer !== null) {
        const group = groups.get(customer) ?? { n: 0, clubs: new Set(), top: -1 };
        groups.set(customer, group);
        group.n++;
        group.top = Math.max(group.top, Number(id));
        if (club !== null) group.clubs.add(club as Value);
        const row = { N: group.n, CLUBS: group.clubs.size, TOP: group.top };
        // The group that stops matching HAVING is taken back.
        records.push(`BY_CUSTOMER ${String(customer)} ${group.n === 3 ? 'null' : JSON.stringify(row)}`);
      }
    }
  };
  for (const order of state.get(ORDERS)!.values())
    emit(order, { COMMIT: state, STATEMENT: state, BEFORE: state }, state);
  for (const transaction of log.slice(snapshotAt)) {
    const before = copy(state);
    const statements = transaction.map((change) => {
      const now = copy(state);
      applyChange(state, change);
      return now;
    });
    const after = copy(state);
    transaction.forEach((change, i) => {
      if (change.table !== ORDERS || change.op === 't' || change.op === 'd') return;
      emit(change.after ?? null, { COMMIT: after, STATEMENT: statements[i]!, BEFORE: before }, after);
    });
  }
  return records;
}

function shown({ topic, key, value }: WrittenRecord): string {
  // KAFKA keys of INTEGER are four bytes.
  const number = key === null ? null : Buffer.from(key, 'hex').readInt32BE();
  return `${topic} ${String(number)} ${String(value)}`;
}

const logs = transactionLogs({
  tables: [CUSTOMERS, REGIONS, ORDERS, ORDERS],
  rowOf: (each, key, { other, text }) => (each === REGIONS ? [key, text] : [key, other, text]),
});

describe('enrichment under crashes', () => {
  it.each([
    { where: 'in memory', durable: false, numRuns: 300 },
    // Writing to the disk takes its time.
    { where: 'on disk', durable: true, numRuns: 40 },
  ])(
    'commits what an undisturbed run of whole transactions gives, tables $where',
    async ({ durable, numRuns }) => {
      await fc.assert(
        fc.asyncProperty(
          logs,
          fc.nat({ max: 6 }),
          attemptPlans,
          fc.boolean(),
          async (log, at, plan, small) => {
            const snapshotAt = Math.min(at, log.length);
            using rig = new EnrichmentRig({
              sql: SQL,
              tables: TABLES,
              log,
              snapshotAt,
              durable,
              ...(small ? { spoolBytes: 150 } : {}),
            });
            let attempt = await rig.attempt();
            await attempt.snapshot([CUSTOMERS, REGIONS]);
            expect(attempt.commit()).toBe(true);
            for (const { step, commits, crashes, size } of [
              ...plan,
              { step: 99, commits: true, crashes: true, size: 3 },
            ]) {
              if (crashes) {
                await attempt.end();
                attempt = await rig.attempt();
              }
              await attempt.read(attempt.next + step, () => size);
              if (commits) attempt.commit();
            }
            await attempt.end();
            expect(rig.committed.map(shown)).toEqual(model(log, snapshotAt));
            expect(rig.committed.every(({ headers }) => headers === null)).toBe(true);
          },
        ),
        { numRuns },
      );
    },
  );

  it('reads tables anew where their image is lost or damaged, and is exact again behind that position', async () => {
    await fc.assert(
      fc.asyncProperty(
        logs,
        fc.nat({ max: 12 }),
        fc.nat({ max: 12 }),
        fc.constantFrom('gone', 'cut', 'foreign', 'rows gone'),
        fc.boolean(),
        async (log, first, ahead, damage, durable) => {
          using rig = new EnrichmentRig({ sql: SQL, tables: TABLES, log, snapshotAt: 0, durable });
          const attempt = await rig.attempt();
          await attempt.snapshot([CUSTOMERS, REGIONS]);
          await attempt.read(Math.min(first, log.length), () => 4);
          attempt.commit();
          await attempt.end();
          const at = rig.position!.tx;
          const before = rig.committed.length;
          spoil(join(rig.dir, 'enrich'), damage);
          rig.viewAt = Math.min(at + ahead, log.length);
          const again = await rig.attempt();
          await rig.load(again);
          await again.read(rig.viewAt, () => 1);
          // Two transactions in one batch would share the mark; none is read beyond the view here.
          const marked = again.pending.length;
          await again.read(log.length, () => 3);
          again.commit();
          await again.end();
          // What a group has counted of marked rows stays in it.
          const plain = (record: string): boolean => !record.startsWith('BY_CUSTOMER');
          const expected = model(log, 0).filter(plain);
          const exact = rig.committed
            .slice(before + marked)
            .map(shown)
            .filter(plain);
          expect(exact).toEqual(expected.slice(expected.length - exact.length));
          expect(rig.committed.length).toBeGreaterThanOrEqual(before + marked);
        },
      ),
      { numRuns: 150 },
    );
  });
});

function spoil(dir: string, damage: string): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (name.endsWith('.lmdb')) {
      if (damage === 'rows gone') rmSync(path, { recursive: true });
    } else if (damage === 'rows gone') continue;
    else if (damage === 'gone') rmSync(path);
    else if (damage === 'cut') truncateSync(path, Math.max(0, statSync(path).size - 1));
    else writeFileSync(path, Buffer.alloc(statSync(path).size, 7));
  }
}
