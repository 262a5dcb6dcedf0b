/** How long the source keeps what is not delivered: in the status, and as a metric. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

test.each<[string, () => Promise<MysqlServer>, number | null]>([
  ['mysql', () => startMysql({ version: '9', settings: { 'binlog-expire-logs-seconds': '7200' } }), 2],
  ['old', () => startMysql({ version: '5.6', settings: { 'expire-logs-days': '3' } }), 72],
  ['mariadb', () => startMariadb({ version: '11.8', settings: { 'expire-logs-days': '2' } }), 48],
  ['forever', () => startMariadb({ version: '11.8' }), null],
])('%s', async (name, start, hours) => {
  await using server = await start();
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const file = await files.write(
    `${name}.yaml`,
    pipelineFile({ name, url: server.url, tables: ['d.t'], path: files.path(name) }),
  );
  await using daemon = new Headwater(['run', file]);
  const ready = await daemon.until(
    ({ state, lagMs, headroomMs }) =>
      state === 'streaming' && lagMs !== null && (hours === null || headroomMs !== null),
  );
  const { body } = await daemon.get('/metrics');
  const told = /^headwater_headroom_hours\{.*\} (\S+)$/m.exec(body)?.[1];
  if (hours === null) {
    expect([ready.headroomMs, told]).toEqual([null, undefined]);
    return;
  }
  // Less what the pipeline lags behind.
  for (const each of [ready.headroomMs! / 3_600_000, Number(told)]) {
    expect(each).toBeLessThanOrEqual(hours);
    expect(each).toBeGreaterThan(hours / 2);
  }
});
