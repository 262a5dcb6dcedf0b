/** The daemon as a service of Type=notify. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NotifySocket } from '../support/notify-socket.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
let database: TestDatabase;

beforeAll(async () => {
  files = await workspace();
  database = await testDatabase();
});

afterAll(async () => {
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

it('is started when /readyz says so, shows itself alive, and says that it stops', async () => {
  await database.query('CREATE TABLE t (id int PRIMARY KEY)');
  const file = await files.write(
    'service.yaml',
    pipelineFile({
      name: 'service',
      url: database.url,
      tables: ['public.t'],
      path: files.path('out'),
      source: [`postgres: { slot: ${database.name} }`],
    }),
  );
  await using socket = await NotifySocket.open();
  // A transaction that is open keeps the slot from being made.
  const { default: pg } = await import('pg');
  const open = new pg.Client({ connectionString: database.url });
  await open.connect();
  await open.query('BEGIN; INSERT INTO t VALUES (100)');
  await using run = new Headwater(['run', file], { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '3000000' });
  await socket.next((lines) => lines.includes('STATUS=service is starting'));
  expect((await run.get('/readyz')).status).toBe(503);
  expect(socket.messages.flat()).not.toContain('READY=1');
  await open.query('ROLLBACK');
  await open.end();
  await socket.next((lines) => lines.includes('READY=1'));
  expect((await run.get('/readyz')).status).toBe(200);
  await socket.next((lines) => lines.includes('WATCHDOG=1') && !lines.includes('READY=1'));
  expect((await run.stop()).exit).toBe(0);
  await socket.next((lines) => lines.includes('STOPPING=1'));
});
