/** Three instances with twenty pipelines: they share them evenly, and whoever dies leaves no gap and nothing twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

const PIPELINES = 20;
const ROUNDS = process.env['HEADWATER_TEST_FULL'] === '1' ? 8 : 2;
const LONG_MS = 8 * 60_000;

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

/** Waits until each pipeline runs once, in numbers that differ by one at most, and the others know where. */
async function settled(fleet: readonly Headwater[]): Promise<void> {
  for (;;) {
    for (const instance of fleet) expect(instance.alive).toBe(true);
    const statuses = await Promise.all(fleet.map((instance) => instance.status().catch(() => [])));
    const running = statuses.map((pipelines) => pipelines.filter(runs).map(({ name }) => name));
    const waiting = statuses.flat().filter(({ state, heldBy }) => state === 'standby' && heldBy !== null);
    const counts = running.map(({ length }) => length);
    const all = running.flat();
    if (
      all.length === PIPELINES &&
      new Set(all).size === PIPELINES &&
      Math.max(...counts) - Math.min(...counts) <= 1 &&
      waiting.length === PIPELINES * (fleet.length - 1)
    ) {
      return;
    }
    await new Promise((settle) => setTimeout(settle, 100));
  }
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
            await new Promise((settle) => setTimeout(settle, 50));
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
