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
const SOURCE = `CREATE STREAM ticks WITH (CDC_TABLE = 'shop.public.ticks');
  CREATE STREAM timed WITH (TIMESTAMP = 'AT') AS SELECT id, who, at, n FROM ticks;\n`;

type Tick = readonly [who: string, at: number];
/** `a@5+2:[1,2]`: the group, its window from 5 on for 2 ms, its row; `-` for one taken back. */
async function run(sql: string, ticks: readonly Tick[], restarts = false): Promise<readonly string[]> {
  const log = ticks.map(([who, at], i): LogTransaction => [
    { table: TICKS, op: 'c', after: [i, who, at, i + 1] },
  ]);
  using rig = new EnrichmentRig({ sql: SOURCE + sql, tables: [TICKS], log, snapshotAt: 0 });
  let attempt = await rig.attempt();
  for (let until = 1; until <= log.length; until++) {
    await attempt.read(until, () => 10);
    attempt.commit();
    if (!restarts) continue;
    await attempt.end();
    attempt = await rig.attempt();
  }
  await attempt.end();
  const late = rig.warnings.some((line) => line.includes('"problem":"late"')) ? ['late'] : [];
  return [...rig.committed.filter(({ topic }) => topic === 'T').map(shown), ...late];
}

function shown({ key, value }: EnrichmentRig['committed'][number]): string {
  const bytes = Buffer.from(key ?? '', 'hex');
  // A name of one letter, then the start of the window; or end and start of the session.
  const first = bytes.readBigInt64BE(1);
  const window = bytes.length === 9 ? `${first}` : `${bytes.readBigInt64BE(9)}..${first}`;
  const row =
    value === null ? '-' : JSON.stringify(Object.values(JSON.parse(value) as object)).replace(/^\[|\]$/g, '');
  return `${bytes.toString('latin1', 0, 1)}@${window} ${row}`;
}

describe('SESSION windows', () => {
  const sql = `CREATE TABLE t AS SELECT who, COUNT(*) AS c, SUM(n) AS s, COLLECT_LIST(n) AS l, LATEST_BY_OFFSET(n) AS x
    FROM timed WINDOW SESSION (10 MILLISECONDS) GROUP BY who;`;

  it.each([false, true])(
    'grow, and are merged by an event that joins them (restarts: %s)',
    async (restarts) => {
      const ticks: Tick[] = [
        ['a', 100],
        ['a', 125],
        ['b', 130],
        ['a', 104],
        ['a', 103],
        ['a', 115],
        ['a', 90],
      ];
      expect(await run(sql, ticks, restarts)).toEqual([
        'a@100..100 1,1,[1],1',
        'a@125..125 1,2,[2],2',
        'b@130..130 1,3,[3],3',
        // The session's end is part of its key: the former row goes.
        'a@100..100 -',
        'a@100..104 2,5,[1,4],4',
        'a@100..104 3,10,[1,4,5],5',
        // 115 is more than the gap behind 104, and exactly the gap before 125.
        'a@125..125 -',
        'a@115..125 2,8,[2,6],6',
        'a@100..104 -',
        'a@90..104 4,17,[1,4,5,7],7',
      ]);
    },
  );

  it('join two sessions into one, whose row holds all', async () => {
    const ticks: Tick[] = [
      ['a', 100],
      ['a', 118],
      ['a', 109],
    ];
    expect((await run(sql, ticks)).slice(2)).toEqual([
      'a@100..100 -',
      'a@118..118 -',
      'a@100..118 3,6,[1,2,3],3',
    ]);
  });

  it('leave out what comes later than gap and grace, and accept what comes at their very end', async () => {
    const graceful = `CREATE TABLE t AS SELECT who, COUNT(*) AS c FROM timed
      WINDOW SESSION (10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY who;`;
    expect(
      await run(graceful, [
        ['a', 200],
        ['b', 185],
      ]),
    ).toEqual(['a@200..200 1', 'b@185..185 1']);
    expect(
      await run(graceful, [
        ['a', 200],
        ['b', 184],
      ]),
    ).toEqual(['a@200..200 1', 'late']);
    // An old event that a session which is still open reaches is part of it.
    expect(
      await run(graceful, [
        ['a', 190],
        ['a', 198],
        ['b', 204],
        ['a', 182],
      ]),
    ).toContain('a@182..198 3');
  });

  it('come to what all events sorted by time come to, in whatever order they arrive', async () => {
    const tick = fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 120 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(tick, { minLength: 1, maxLength: 14 }),
        fc.boolean(),
        async (ticks, restarts) => {
          const rows = new Map<string, string>();
          for (const record of await run(
            `CREATE TABLE t AS SELECT who, COUNT(*) AS c FROM timed WINDOW SESSION (10 MILLISECONDS) GROUP BY who;`,
            ticks,
            restarts,
          )) {
            const [key = '', row = ''] = record.split(' ');
            if (row === '-') rows.delete(key);
            else rows.set(key, row);
          }
          const expected = new Map<string, string>();
          for (const who of ['a', 'b']) {
            const times = ticks.flatMap(([each, at]) => (each === who ? [at] : [])).sort((x, y) => x - y);
            let from = 0;
            for (let i = 1; i <= times.length; i++) {
              if (i < times.length && times[i]! - times[i - 1]! <= 10) continue;
              expected.set(`${who}@${times[from]}..${times[i - 1]}`, String(i - from));
              from = i;
            }
          }
          expect(rows).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('windows at fixed places', () => {
  it('HOPPING: a late event goes into those of its windows that are still open', async () => {
    const sql = `CREATE TABLE t AS SELECT who, COUNT(*) AS c FROM timed
      WINDOW HOPPING (SIZE 20 MILLISECONDS, ADVANCE BY 10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY who;`;
    // Stream time 36: [10, 30) has ended and its grace is past, [20, 40) is open.
    expect(
      await run(sql, [
        ['a', 36],
        ['b', 25],
      ]),
    ).toEqual(['a@20 1', 'a@30 1', 'b@20 1', 'late']);
    expect(
      await run(sql, [
        ['a', 34],
        ['b', 25],
      ]),
    ).toEqual(['a@20 1', 'a@30 1', 'b@10 1', 'b@20 1']);
  });

  it('TUMBLING: late is what its window and grace have passed, and a day is the default', async () => {
    const at = (tail: string): string =>
      `CREATE TABLE t AS SELECT who, COUNT(*) AS c FROM timed WINDOW TUMBLING (SIZE 10 MILLISECONDS${tail}) GROUP BY who;`;
    const ticks: Tick[] = [
      ['a', 40],
      ['b', 29],
    ];
    expect(await run(at(', GRACE PERIOD 10 MILLISECONDS'), ticks)).toEqual(['a@40 1', 'late']);
    expect(await run(at(', GRACE PERIOD 11 MILLISECONDS'), ticks)).toEqual(['a@40 1', 'b@20 1']);
    expect(
      await run(at(''), [
        ['a', 86_400_019],
        ['b', 29],
      ]),
    ).toContain('b@20 1');
    expect(
      await run(at(''), [
        ['a', 86_400_020],
        ['b', 29],
      ]),
    ).toContain('late');
  });
});

describe('aggregates with more than one argument', () => {
  it.each([false, true])('keep order and other columns (restarts: %s)', async (restarts) => {
    const sql = `CREATE TABLE t AS SELECT who, LATEST_BY_OFFSET(n, 2) AS l2, EARLIEST_BY_OFFSET(n, 2) AS e2,
      LATEST_BY_OFFSET(NULLIF(n, 3), FALSE) AS ln, TOPK(n, at, 2) AS tk
      FROM timed WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY who;`;
    const rows = await run(
      sql,
      [
        ['a', 5],
        ['a', 4],
        ['a', 3],
      ],
      restarts,
    );
    expect(rows.at(-1)).toBe('a@0 [2,3],[1,2],null,[{"SORT_COL":3,"COL0":3},{"SORT_COL":2,"COL0":4}]');
  });
});
