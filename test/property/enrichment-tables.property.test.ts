/**
 * Queries over tables under any log and any crashes: behind each transaction every topic shows exactly what the
 * query gives over the tables as they are then, with at most one record for a key, and the records are the same
 * bytes as those of a run that nothing disturbs.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/model/value.ts';
import {
  column,
  EnrichmentRig,
  type LogTransaction,
  stateAt,
  table,
  type WrittenRecord,
} from '../support/enrichment-rig.ts';
import { attemptPlans, transactionLogs } from '../support/enrichment-logs.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const CUSTOMERS = table('customers', [column('id', INT), column('n', INT), column('club', TEXT)], [0]);
const PROFILES = table('profiles', [column('id', { kind: 'int64' }), column('name', TEXT)], [0]);
const ORDERS = table('orders', [column('id', INT), column('customer', INT), column('note', TEXT)], [0]);
const TABLES = [CUSTOMERS, PROFILES, ORDERS];

const SQL = `
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  CREATE TABLE profiles WITH (CDC_TABLE = 'shop.public.profiles');
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE rich AS SELECT id, n * 10 AS tens, club FROM customers WHERE n > 1;
  CREATE TABLE inn AS SELECT c.id AS id, club, name FROM customers c JOIN profiles p ON c.id = p.id;
  CREATE TABLE lef AS SELECT c.id AS id, club, name FROM customers c LEFT JOIN profiles p ON p.id = c.id;
  CREATE TABLE chain AS SELECT l.id AS id, r.tens AS tens, l.name AS name, p.name AS again
    FROM lef l JOIN rich r ON l.id = r.id LEFT JOIN profiles p ON r.id = p.id WHERE l.club IS NOT NULL;
  CREATE TABLE clubs AS SELECT club, COUNT(*) AS c, COUNT(n) AS cn, SUM(n) AS s, COLLECT_LIST(id) AS l
    FROM customers GROUP BY club HAVING c <> 2;
  CREATE TABLE names AS SELECT UCASE(name) AS who, SUM(tens) AS s, AVG(tens) AS a
    FROM chain GROUP BY UCASE(name);
  CREATE TABLE big AS SELECT club, s FROM clubs WHERE s > 3;
  CREATE STREAM noted AS SELECT o.id AS id, o.note AS note, k.c AS c, x.name AS name
    FROM orders o LEFT JOIN clubs k ON o.note = k.club LEFT JOIN chain x ON o.customer = x.id;
  CREATE TABLE counted AS SELECT note, COUNT(*) AS c FROM noted GROUP BY note;
  CREATE TABLE often AS SELECT note, c FROM counted WHERE c > 1;
`;

type Shown = Readonly<Record<string, ReadonlyMap<string, string>>>;
type Columns = Readonly<Record<string, unknown>>;

/** What each table shows over the state, in plain loops; lists sorted, since their order is that of the log. */
function expected(state: ReadonlyMap<typeof CUSTOMERS, readonly Row[]>): Shown {
  const customers = state.get(CUSTOMERS)!;
  const names = new Map(state.get(PROFILES)!.map((row) => [Number(row[0]), row[1] as string | null]));
  const result: Record<string, Map<string, string>> = {};
  const show = (name: string, key: unknown, row: Columns): void => {
    (result[name] ??= new Map()).set(String(key), JSON.stringify(row));
  };
  const clubs = new Map<string, { c: number; cn: number; s: number | null; l: number[] }>();
  const whos = new Map<string, number[]>();
  for (const [id, n, club] of customers as readonly (readonly [number, number | null, string | null])[]) {
    const rich = n !== null && n > 1;
    if (rich) show('RICH', id, { TENS: n * 10, CLUB: club });
    if (names.has(id)) show('INN', id, { CLUB: club, NAME: names.get(id) });
    show('LEF', id, { CLUB: club, NAME: names.get(id) ?? null });
    const name = names.get(id) ?? null;
    if (rich && club !== null) {
      show('CHAIN', id, { TENS: n * 10, NAME: name, AGAIN: name });
      if (name !== null) whos.set(name.toUpperCase(), [...(whos.get(name.toUpperCase()) ?? []), n * 10]);
    }
    if (club === null) continue;
    const group = clubs.get(club) ?? { c: 0, cn: 0, s: null, l: [] };
    clubs.set(club, group);
    group.c++;
    if (n !== null) {
      group.cn++;
      group.s = (group.s ?? 0) + n;
    }
    group.l.push(id);
  }
  for (const [club, { c, cn, s, l }] of clubs) {
    if (c === 2) continue;
    show('CLUBS', club, { C: c, CN: cn, S: s, L: l.sort((a, b) => a - b) });
    if (s !== null && s > 3) show('BIG', club, { S: s });
  }
  for (const [who, tens] of whos) {
    const s = tens.reduce((a, b) => a + b, 0);
    show('NAMES', who, { S: s, A: s / tens.length });
  }
  return result;
}

const WHOLE: ReadonlySet<string> = new Set(['RICH', 'INN', 'LEF', 'CHAIN']);
const OF_TABLES = [...WHOLE, 'CLUBS', 'NAMES', 'BIG'];

/** The last record of each key. */
function shownBy(records: readonly WrittenRecord[]): Shown {
  const result: Record<string, Map<string, string>> = {};
  for (const { topic, key, value } of records) {
    if (!OF_TABLES.includes(topic)) continue;
    const bytes = Buffer.from(key ?? '', 'hex');
    const name = WHOLE.has(topic) ? String(bytes.readInt32BE()) : bytes.toString();
    const rows = (result[topic] ??= new Map());
    if (value === null) rows.delete(name);
    else {
      const row = JSON.parse(value) as Columns;
      const { L } = row;
      rows.set(
        name,
        JSON.stringify(Array.isArray(L) ? { ...row, L: L.sort((a, b) => Number(a) - Number(b)) } : row),
      );
    }
    if (rows.size === 0) delete result[topic];
  }
  return result;
}

const sorted = (shown: Shown): unknown =>
  Object.fromEntries(OF_TABLES.map((name) => [name, Object.fromEntries(shown[name] ?? [])]));

const logs = transactionLogs({
  tables: [CUSTOMERS, CUSTOMERS, PROFILES, ORDERS],
  rowOf: (each, key, { other, text }) => (each === PROFILES ? [key, text] : [key, other, text]),
});

async function undisturbed(
  log: readonly LogTransaction[],
  snapshotAt: number,
): Promise<readonly WrittenRecord[]> {
  using rig = new EnrichmentRig({ sql: SQL, tables: TABLES, log, snapshotAt });
  const attempt = await rig.attempt();
  await attempt.snapshot([CUSTOMERS, PROFILES]);
  await attempt.read(log.length, () => 1000);
  attempt.commit();
  await attempt.end();
  return rig.committed;
}

describe('queries over tables', () => {
  it('show what they give over the tables behind each transaction, at most one record a key', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat({ max: 6 }), async (log, at) => {
        const snapshotAt = Math.min(at, log.length);
        const records = await undisturbed(log, snapshotAt);
        const seen: WrittenRecord[] = [];
        for (let tx = snapshotAt - 1; tx < log.length; tx++) {
          // The rig's transactions are a second apart; the snapshot stands before the first.
          const time = 1_700_000_000_000 + (tx < snapshotAt ? -1 : tx) * 1_000;
          const own = records.filter(
            ({ topic, timestamp }) => OF_TABLES.includes(topic) && timestamp === time,
          );
          const keys = own.map(({ topic, key }) => `${topic} ${String(key)}`);
          expect(new Set(keys).size).toBe(keys.length);
          seen.push(...own);
          expect(sorted(shownBy(seen))).toEqual(sorted(expected(stateAt(TABLES, log, tx + 1))));
        }
        const kept = records.filter(({ topic }) => OF_TABLES.includes(topic));
        expect(seen).toHaveLength(kept.length);
      }),
      { numRuns: 200 },
    );
  });

  it('write the same bytes whatever crashes in between', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat({ max: 6 }), attemptPlans, async (log, at, plan) => {
        const snapshotAt = Math.min(at, log.length);
        using rig = new EnrichmentRig({ sql: SQL, tables: TABLES, log, snapshotAt });
        let attempt = await rig.attempt();
        await attempt.snapshot([CUSTOMERS, PROFILES]);
        expect(attempt.commit()).toBe(true);
        for (const { step, commits, crashes, size } of [
          ...plan,
          { step: 99, commits: true, crashes: true, size: 3 },
        ]) {
          if (crashes) {
            await attempt.end();
            attempt = await rig.attempt();
            await rig.load(attempt);
          }
          await attempt.read(attempt.next + step, () => size);
          if (commits) attempt.commit();
        }
        await attempt.end();
        expect(rig.committed).toEqual(await undisturbed(log, snapshotAt));
      }),
      { numRuns: 150 },
    );
  });

  it('are right again where the image of the tables is lost, rows and groups that have gone included', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat({ max: 12 }), fc.nat({ max: 12 }), async (log, first, ahead) => {
        using rig = new EnrichmentRig({ sql: SQL, tables: TABLES, log, snapshotAt: 0 });
        const attempt = await rig.attempt();
        await attempt.snapshot([CUSTOMERS, PROFILES]);
        await attempt.read(Math.min(first, log.length), () => 4);
        attempt.commit();
        await attempt.end();
        const dir = join(rig.dir, 'enrich');
        for (const name of readdirSync(dir)) rmSync(join(dir, name));
        rig.viewAt = Math.min(rig.position!.tx + ahead, log.length);
        // Which rows a truncate removed before the table was read again, nobody knows.
        fc.pre(
          !log.slice(rig.position!.tx, rig.viewAt).some((changes) => changes.some(({ op }) => op === 't')),
        );
        // Once more before anything is committed: what was shown is still known.
        const crashed = await rig.attempt();
        crashed.commit();
        await crashed.end();
        const again = await rig.attempt();
        await rig.load(again);
        await again.read(log.length, () => 1);
        again.commit();
        await again.end();
        if (rig.position!.tx < log.length) return;
        expect(sorted(shownBy(rig.committed))).toEqual(sorted(expected(stateAt(TABLES, log, log.length))));
      }),
      { numRuns: 150 },
    );
  });
});
