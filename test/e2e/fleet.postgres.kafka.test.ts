/** Three instances with twenty pipelines: they share them evenly, and whoever dies leaves no gap and nothing twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

const PIPELINES = 20;
const FULL = process.env['HEADWATER_TEST_FULL'] === '1';
const ROUNDS = FULL ? 8 : 2;
/** One after another, without waiting until the others have taken over. */
const KILLS = FULL ? 10 : 3;
const LONG_MS = 15 * 60_000;
/** A kill is noticed after the session, and twenty pipelines start on a machine that is busy with others. */
const SETTLE_MS = 4 * 60_000;

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let settings: readonly string[];
const names = Array.from({ length: PIPELINES }, (_, i) => `t${String(i).padStart(2, '0')}`);

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  database = await testDatabase();
  for (const table of names) await database.query(`CREATE TABLE ${table} (id int PRIMARY KEY)`);
  settings = await Promise.all(
    names.map((table) =>
      files.write(
        `${table}.yaml`,
        pipelineFile({
          name: pipeline(table),
          url: database.url,
          tables: [`public.${table}`],
          brokers: kafka.brokers,
          source: [`postgres: { slot: ${database.name}_${table}, publication: ${database.name}_${table} }`],
          kafka: ['session_timeout: 6s'],
        }),
      ),
    ),
  );
});
afterAll(async () => {
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

function pipeline(table: string): string {
  return `${kafka.prefix}-${table}`;
}

function runs({ state, confirmed }: PipelineStatus): boolean {
  return state === 'streaming' && confirmed !== null;
}

/** Waits until the whole is as it should be, and fails with what it is where that takes too long. */
async function settled(fleet: readonly Headwater[]): Promise<void> {
  const giveUpAt = performance.now() + SETTLE_MS;
  for (;;) {
    for (const instance of fleet) expect(instance.alive).toBe(true);
    const statuses = await Promise.all(
      fleet.map(async (instance) => ({
        pid: instance.pid,
        pipelines: await instance.status().catch((): readonly PipelineStatus[] => []),
      })),
    );
    const wrong = wrongIn(statuses);
    if (wrong === null) return;
    if (performance.now() > giveUpAt) throw new Error(`After ${SETTLE_MS / 1000} s: ${wrong}`);
    await pause(100);
  }
}

/**
 * Each pipeline runs in one instance, in numbers that differ by one at most; each instance tells of all pipelines, and of
 * those that it does not run by which process they are run.
 */
function wrongIn(
  statuses: readonly { readonly pid: number; readonly pipelines: readonly PipelineStatus[] }[],
): string | null {
  const running = statuses.flatMap(({ pid, pipelines }) =>
    pipelines.filter(runs).map(({ name }) => [name, pid] as const),
  );
  const holders = new Map(running);
  if (running.length !== PIPELINES || holders.size !== PIPELINES)
    return `${running.length} run, of ${holders.size} names`;
  const counts = statuses.map(({ pid }) => running.filter(([, holder]) => holder === pid).length);
  if (Math.max(...counts) - Math.min(...counts) > 1) return `they run ${counts.join(', ')}`;
  for (const { pid, pipelines } of statuses) {
    const told = pipelines.filter(({ name, state, heldBy }) => {
      const holder = holders.get(name);
      return holder === pid || (state === 'standby' && heldBy !== null && heldBy.pid === holder);
    });
    if (told.length !== PIPELINES)
      return `process ${pid} tells of ${told.length} pipelines where they run: ${JSON.stringify(pipelines.map(({ name, state, heldBy }) => [name, state, heldBy?.pid]))}`;
  }
  return null;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((settle) => setTimeout(settle, milliseconds));
}

describe('a fleet', () => {
  it(
    'shares its pipelines evenly while instances come, go and die, and loses and doubles nothing',
    async () => {
      const fleet = [new Headwater(['run', ...settings])];
      try {
        await settled(fleet);
        let written = 0;
        let writing = true;
        const insert = names.map((table) => `INSERT INTO ${table} VALUES ($1)`);
        const writer = (async () => {
          while (writing) {
            written++;
            for (const statement of insert) await database.query(statement, [written]);
            await pause(50);
          }
        })();
        fleet.push(new Headwater(['run', ...settings]), new Headwater(['run', ...settings]));
        await settled(fleet);
        for (let round = 0; round < ROUNDS; round++) {
          const leaving = fleet.splice(Math.floor(Math.random() * fleet.length), 1)[0]!;
          // Every other one dies.
          if (round % 2 === 0) await leaving.kill();
          else expect((await leaving.stop()).exit).toBe(0);
          await settled(fleet);
          fleet.push(new Headwater(['run', ...settings]));
          await settled(fleet);
        }
        // Whoever it is and whatever it is doing: taking over, handing over, starting.
        for (let kill = 0; kill < KILLS; kill++) {
          await fleet.splice(Math.floor(Math.random() * fleet.length), 1)[0]!.kill();
          fleet.push(new Headwater(['run', ...settings]));
          await pause(Math.random() * 4_000);
        }
        await settled(fleet);
        writing = false;
        await writer;
        for (const table of names) {
          const records = await readUntil(
            kafka.brokers,
            [`${pipeline(table)}.public.${table}`],
            sentinel(written),
          );
          expect(summary(records)).toEqual(Array.from({ length: written }, (_, i) => `c:${i + 1}`));
        }
        for (const instance of fleet) expect((await instance.stop()).exit).toBe(0);
      } finally {
        for (const instance of fleet) await instance[Symbol.asyncDispose]();
      }
    },
    LONG_MS,
  );
});
