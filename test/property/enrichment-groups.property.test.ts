/**
 * Groups of aggregates in memory and on disk: any events, with commits that overlap and crashes anywhere, give the records of an
 * undisturbed run in memory, byte for byte.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const TICKS = table(
  'ticks',
  [
    column('id', { kind: 'int32' }),
    column('who', { kind: 'string' }),
    column('at', { kind: 'int64' }),
    column('n', { kind: 'int32' }),
  ],
  [0],
);

const SQL = `
  CREATE STREAM ticks WITH (CDC_TABLE = 'shop.public.ticks');
  CREATE TABLE ticked WITH (CDC_TABLE = 'shop.public.ticks');
  CREATE STREAM timed WITH (TIMESTAMP = 'AT') AS SELECT id, who, at, n FROM ticks;
  CREATE TABLE sessions AS SELECT who, COUNT(*) AS c, COLLECT_LIST(n) AS l FROM timed
    WINDOW SESSION (4 MILLISECONDS, GRACE PERIOD 3 MILLISECONDS) GROUP BY who;
  CREATE TABLE tumbling AS SELECT who, COUNT(*) AS c, SUM(n) AS s FROM timed
    WINDOW TUMBLING (SIZE 5 MILLISECONDS, GRACE PERIOD 6 MILLISECONDS) GROUP BY who HAVING COUNT(*) <> 2;
  CREATE TABLE hopping AS SELECT who, COUNT_DISTINCT(n) AS d FROM timed
    WINDOW HOPPING (SIZE 6 MILLISECONDS, ADVANCE BY 2 MILLISECONDS, GRACE PERIOD 2 MILLISECONDS) GROUP BY who;
  CREATE TABLE pairs WITH (KEY_FORMAT = 'JSON') AS SELECT who, n, COUNT(*) AS c, LATEST_BY_OFFSET(id) AS last
    FROM timed GROUP BY who, n;
  CREATE TABLE people AS SELECT who, COUNT(*) AS c, SUM(n) AS s, AVG(n) AS a FROM ticked GROUP BY who HAVING SUM(n) <> 3;
  CREATE STREAM joined AS SELECT t.id, t.who, p.c FROM ticks t LEFT JOIN people p ON t.who = p.who;
`;

interface Event {
  readonly who: string;
  readonly at: number;
  readonly n: number;
  readonly gone: boolean;
}

const events = fc.array(
  fc.record({
    // One whose keys on disk are longer than LMDB's may be.
    who: fc.constantFrom('a', 'a', 'a', 'b', '["c",', `${'long '.repeat(400)}1`, `${'long '.repeat(400)}2`),
    at: fc.integer({ min: 0, max: 20 }),
    n: fc.integer({ min: 0, max: 3 }),
    gone: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25 },
);

/** What happens behind each event. */
const deeds = fc.array(fc.constantFrom('nothing', 'begin', 'begin', 'end', 'end', 'commit', 'crash'), {
  minLength: 25,
  maxLength: 25,
});
type Deed = 'nothing' | 'begin' | 'end' | 'commit' | 'crash';

function logOf(list: readonly Event[]): readonly LogTransaction[] {
  return list.flatMap(({ who, at, n, gone }, id): LogTransaction[] => {
    const row = [id, who, at, n];
    const made: LogTransaction = [{ table: TICKS, op: 'c', after: row }];
    return gone ? [made, [{ table: TICKS, op: 'd', before: row, after: null }]] : [made];
  });
}

async function run(
  log: readonly LogTransaction[],
  { durable, of }: { readonly durable: boolean; readonly of: readonly Deed[] },
): Promise<EnrichmentRig['committed']> {
  using rig = new EnrichmentRig({ sql: SQL, tables: [TICKS], log, snapshotAt: 0, durable });
  let attempt = await rig.attempt();
  await attempt.snapshot([TICKS]);
  attempt.commit();
  let underWay = 0;
  for (let i = 0; attempt.next < log.length; i++) {
    await attempt.read(attempt.next + 1, () => 2);
    const deed = of[i % of.length];
    if ((deed === 'begin' || deed === 'commit') && underWay < 3 && attempt.seal()) underWay++;
    if (deed === 'end' && underWay > 0) {
      attempt.settle();
      underWay--;
    }
    if (deed === 'commit') for (; underWay > 0; underWay--) attempt.settle();
    // No more than there are events, so that it ends.
    if (deed !== 'crash' || i > 3 * log.length) continue;
    await attempt.end();
    underWay = 0;
    attempt = await rig.attempt();
  }
  for (; underWay > 0; underWay--) attempt.settle();
  attempt.commit();
  await attempt.end();
  return rig.committed;
}

describe('groups of aggregates', () => {
  it.each([
    { where: 'in memory', durable: false, numRuns: 80 },
    { where: 'on disk', durable: true, numRuns: 40 },
  ])('$where come to what they do undisturbed', async ({ durable, numRuns }) => {
    await fc.assert(
      fc.asyncProperty(events, deeds, async (list, of) => {
        const log = logOf(list);
        const undisturbed = await run(log, { durable: false, of: ['commit'] });
        expect(await run(log, { durable, of })).toEqual(undisturbed);
      }),
      { numRuns },
    );
  });
});
