/** What polling has to see while the server's clock, or the clock on some wall, does not simply go forward. */
import { expect } from 'vitest';
import type { WriterSession } from '../support/overlapping-writers.ts';
import type { ServerClock } from '../support/server-clock.ts';
import { Headwater, logLines, type Workspace } from './headwater.ts';
import { caughtUp, delivered, type PolledPipeline, polledPipeline, polledRows } from './polling-support.ts';

export interface ClockedServer {
  readonly url: string;
  readonly clock: ServerClock;
  /** `schema.` of its tables. */
  readonly schema: string;
  /** Types of columns that hold a moment, and what a clock on a wall showed. */
  readonly moment: string;
  readonly local: string;
  /** Whether a row tells who wrote it; otherwise the time that a clock was set back by is gone through once more. */
  readonly versioned: boolean;
  readonly query: (sql: string) => Promise<unknown>;
  /** Of a client that lives there. */
  session(zone: Zone): Promise<WriterSession & { end(): Promise<unknown> }>;
}

export type Zone = 'Europe/Berlin' | 'Pacific/Honolulu' | 'Pacific/Tongatapu';

const TABLES = ['moments', 'locals'] as const;

async function makeTables({ query, moment, local }: ClockedServer): Promise<void> {
  for (const [table, type] of [
    ['moments', moment],
    ['locals', local],
  ]) {
    await query(`DROP TABLE IF EXISTS ${table}`);
    await query(`CREATE TABLE ${table} (id int PRIMARY KEY, at ${type} NOT NULL)`);
  }
}

function pollOf({ schema }: ClockedServer, every: string, more: string): string {
  const tables = TABLES.map((table) => `${schema}${table}: { timestamp: at }`);
  return `{ every: ${every}, overlap: 0s, ${more} tables: { ${tables.join(', ')} } }`;
}

/** Rows written now, in one transaction. */
async function write(session: WriterSession, id: number): Promise<void> {
  for (const table of TABLES) await session.query(`INSERT INTO ${table} VALUES (${id}, now(6))`);
}

function idsOf(rows: Awaited<ReturnType<typeof polledRows>>, table: string): readonly number[] {
  return rows
    .filter(({ source }) => source['table'] === table)
    .map(({ after }) => Number(after?.['id']))
    .toSorted((a, b) => a - b);
}

async function seen(polled: PolledPipeline, ids: readonly number[]): Promise<void> {
  await delivered(polled, (rows) =>
    TABLES.every((table) => ids.every((id) => idsOf(rows, table).includes(id))),
  );
}

/** Long enough for some polls; where it is not, the test sees less. */
const someTime = (ms = 500): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Whatever is done to the server's clock, and whether anybody polls meanwhile or not, no row is missed. */
export async function followSteps(files: Workspace, server: ClockedServer): Promise<void> {
  const { clock } = server;
  await clock.set('2026-06-01T12:00:00Z');
  await makeTables(server);
  const session = await server.session('Europe/Berlin');
  const pipeline = (every: string): Promise<PolledPipeline> =>
    polledPipeline(files, {
      url: server.url,
      tables: TABLES.map((table) => `${server.schema}${table}`),
      poll: pollOf(server, every, 'time_zone: Europe/Berlin,'),
    });
  const polled = await pipeline('100ms');
  await write(session, 1);
  {
    await using daemon = new Headwater(['run', polled.file]);
    await daemon.until(({ state }) => state === 'streaming');
    await write(session, 2);
    await seen(polled, [1, 2]);
    await someTime(1_500);
    await clock.step(-3_600);
    await write(session, 3);
    await seen(polled, [3]);
    await clock.step(7_200);
    await write(session, 4);
    await seen(polled, [4]);
    await someTime(1_500);
    await clock.step(-3_600);
    await write(session, 5);
    await seen(polled, [5]);
    const { stderr } = await daemon.stop();
    const told = logLines(stderr).filter(({ msg }) => msg.startsWith('the clock of the source was set back'));
    expect(told).toHaveLength(2);
  }
  // While nobody polls: back to before all that is known, and by less than passes until somebody polls again.
  await clock.step(-1_800);
  await write(session, 6);
  await caughtUp(polled);
  await someTime(1_500);
  await caughtUp(polled);
  await clock.step(-4);
  await write(session, 7);
  await someTime(5_000);
  await caughtUp(polled);
  const all = await polledRows(polled);
  for (const table of TABLES) {
    const ids = idsOf(all, table);
    expect(server.versioned ? ids : [...new Set(ids)], table).toEqual([1, 2, 3, 4, 5, 6, 7]);
  }
  // By less than the pause between two polls.
  const seldom = await pipeline('8s');
  await using daemon = new Headwater(['run', seldom.file]);
  await daemon.until(({ state }) => state === 'streaming');
  await write(session, 8);
  await seen(seldom, [8]);
  await clock.step(-6);
  await write(session, 9);
  await seen(seldom, [9]);
  await daemon.stop();
  await session.end();
}

/** The hour that comes twice, and the one that is left out; `zone`: of all who write, null where they live anywhere. */
export async function followLocalTimes(
  files: Workspace,
  server: ClockedServer,
  zone: 'Europe/Berlin' | null,
): Promise<void> {
  const { clock } = server;
  await clock.set('2026-03-29T00:50:00Z');
  await makeTables(server);
  const polled = await polledPipeline(files, {
    url: server.url,
    tables: TABLES.map((table) => `${server.schema}${table}`),
    poll: pollOf(server, '100ms', zone === null ? '' : `time_zone: ${zone},`),
  });
  const sessions = await Promise.all(
    (zone === null ? (['Europe/Berlin', 'Pacific/Honolulu', 'Pacific/Tongatapu'] as const) : [zone]).map(
      (each) => server.session(each),
    ),
  );
  const [late, later] = [await server.session('Europe/Berlin'), await server.session('Europe/Berlin')];
  let count = 0;
  /** Somebody in each zone, and then some polls. */
  const writeAll = async (): Promise<void> => {
    for (const session of sessions) await write(session, ++count);
    await someTime();
  };
  const begin = async (session: WriterSession): Promise<void> => {
    await session.query('BEGIN');
    await write(session, ++count);
    await someTime();
  };
  await caughtUp(polled);
  await using daemon = new Headwater(['run', polled.file]);
  await daemon.until(({ state }) => state === 'streaming');
  // It is 01:50 in Berlin, and then 03:10.
  await writeAll();
  await begin(late);
  await clock.set('2026-03-29T01:10:00Z');
  await writeAll();
  await late.query('COMMIT');
  await writeAll();
  // It is 02:50 for the first time, and 02:05, 02:40 and 02:59 for the second.
  await clock.set('2026-10-25T00:50:00Z');
  await writeAll();
  await begin(late);
  await clock.set('2026-10-25T01:05:00Z');
  await writeAll();
  await begin(later);
  await late.query('COMMIT');
  await writeAll();
  await clock.set('2026-10-25T01:40:00Z');
  await writeAll();
  await later.query('COMMIT');
  await clock.set('2026-10-25T01:59:00Z');
  await writeAll();
  await clock.set('2026-10-25T02:30:00Z');
  await writeAll();
  const ids = Array.from({ length: count }, (_, i) => i + 1);
  await seen(polled, ids);
  await daemon.stop();
  const all = await polledRows(polled);
  for (const table of TABLES) expect(idsOf(all, table), table).toEqual(ids);
  await Promise.all([...sessions, late, later].map((session) => session.end()));
}
