/** Polling of PostgreSQL servers whose clock, or whose clients' clocks, do not simply go forward. */
import pg from 'pg';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type ServerClock, serverClock } from '../support/server-clock.ts';
import { type PostgresServer, postgresVersions, startPostgres } from '../support/servers.ts';
import { type Workspace, workspace } from './headwater.ts';
import { type ClockedServer, followLocalTimes, followSteps } from './polling-clocks.ts';

let files: Workspace;
let clock: ServerClock;
beforeAll(async () => {
  files = await workspace();
  clock = await serverClock('2026-06-01T12:00:00Z');
});
afterAll(async () => {
  await files?.[Symbol.asyncDispose]();
  await clock?.[Symbol.asyncDispose]();
});

describe.each(postgresVersions)('PostgreSQL %s', (version) => {
  let started: PostgresServer;
  let server: ClockedServer;
  beforeAll(async () => {
    // The server's own zone is one where nobody lives.
    const settings = { timezone: 'America/New_York' };
    started = await startPostgres({ version, env: clock.env, settings });
    server = {
      url: started.url,
      clock,
      schema: 'public.',
      moment: 'timestamptz',
      local: 'timestamp',
      versioned: true,
      query: (sql) => started.query(sql),
      async session(zone) {
        const client = new pg.Client({ connectionString: started.url });
        await client.connect();
        await client.query(`SET TimeZone = '${zone}'`);
        return {
          // Which says no precision here.
          query: (sql: string) => client.query(sql.replace('now(6)', 'now()')),
          end: () => client.end(),
        };
      },
    };
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  it('misses no row when the clock is set', () => followSteps(files, server));

  it.each(['Europe/Berlin', null] as const)('misses no row of local times, zone %s', (zone) =>
    followLocalTimes(files, server, zone),
  );
});
