/** Polling of MySQL and MariaDB servers whose clock, or whose clients' clocks, do not simply go forward. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type ServerClock, serverClock } from '../support/server-clock.ts';
import type { MysqlServer } from '../support/servers.ts';
import { type Workspace, workspace } from './headwater.ts';
import { MYSQL_FLAVOURS } from './mysql-flavours.ts';
import { type ClockedServer, followLocalTimes, followSteps, type Zone } from './polling-clocks.ts';

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

/** The server's own, whose clock is put back and forward, stands for the first; names of zones need their tables. */
const ZONES: Readonly<Record<Zone, string>> = {
  'Europe/Berlin': 'SYSTEM',
  'Pacific/Honolulu': '-10:00',
  'Pacific/Tongatapu': '+13:00',
};

describe.each(MYSQL_FLAVOURS)('$connector', ({ start }) => {
  let started: MysqlServer;
  let server: ClockedServer;
  beforeAll(async () => {
    const settings = { 'default-time-zone': 'SYSTEM' };
    started = await start({ env: { ...clock.env, TZ: 'Europe/Berlin' }, settings });
    await started.query('CREATE DATABASE shop');
    const url = started.urlFor({ database: 'shop' });
    server = {
      url,
      clock,
      schema: 'shop.',
      moment: 'timestamp(6)',
      local: 'datetime(6)',
      versioned: false,
      query: (sql) => started.query(`USE shop; ${sql}`),
      async session(zone) {
        const connection = await mysql.createConnection({ uri: url });
        await connection.query(`SET time_zone = '${ZONES[zone]}'`);
        return { query: (sql: string) => connection.query(sql), end: () => connection.end() };
      },
    };
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  it('misses no row when the clock is set', () => followSteps(files, server));

  it.each(['Europe/Berlin', null] as const)('misses no row of local times, zone %s', (zone) =>
    followLocalTimes(files, server, zone),
  );
});
