/** The log no longer reaches back to the checkpoint: never resumed silently, always as source.on_gap says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../support/servers.ts';
import { logLines, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

let files: Workspace;
let count = 0;

beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

interface Pipeline {
  readonly server: MysqlServer;
  readonly database: string;
  readonly file: string;
  readonly out: string;
}

/** A pipeline that has delivered rows 1 and 2 and is stopped; meanwhile the log that it needs is purged. */
async function withGap(server: MysqlServer, onGap: string): Promise<Pipeline> {
  const database = `gap${++count}`;
  const out = files.path(database);
  await server.query(`CREATE DATABASE ${database}; CREATE TABLE ${database}.t (id INT PRIMARY KEY);
    INSERT INTO ${database}.t VALUES (1), (2)`);
  const text = pipelineFile({
    name: database,
    url: server.url,
    tables: [`${database}.t`],
    path: out,
    source: [`on_gap: ${onGap}`],
  });
  const file = await files.write(`${database}.yaml`, text);
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  await server.query(`INSERT INTO ${database}.t VALUES (3); DELETE FROM ${database}.t WHERE id = 1;
    FLUSH BINARY LOGS; INSERT INTO ${database}.t VALUES (4); FLUSH BINARY LOGS`);
  const logs = await server.query<{ Log_name: string }>('SHOW BINARY LOGS');
  await server.query(`PURGE BINARY LOGS TO '${logs.at(-1)!.Log_name}'`);
  return { server, database, file, out };
}

async function afterGap({ server, database, file, out }: Pipeline): Promise<readonly string[]> {
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  expect(logLines(stderr).find(({ level }) => level === 'warn')).toMatchObject({
    msg: expect.stringContaining('no longer reaches back') as string,
  });
  await server.query(`INSERT INTO ${database}.t VALUES (9)`);
  expect((await runToEnd(file)).exit).toBe(0);
  return rowsOf(out);
}

/** Without the marker of what was skipped. */
async function rowsOf(out: string): Promise<readonly string[]> {
  return summary((await readFiles(out)).filter(({ topic }) => topic.endsWith('.t')));
}

describe.each([
  ['GTIDs', {}],
  ['files and offsets', { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }],
])('purged logs, with positions by %s', (_, settings) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version: '9', settings });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  it('resnapshot: all tables are read again', async () => {
    const rows = await afterGap(await withGap(server, 'resnapshot'));
    expect(rows).toEqual(['r:1', 'r:2', 'r:2', 'r:3', 'r:4', 'c:9']);
  });

  it('skip_with_marker: goes on without what is missing', async () => {
    expect(await afterGap(await withGap(server, 'skip_with_marker'))).toEqual(['r:1', 'r:2', 'c:9']);
  });

  it('fail: ends with 1 and what can be done, again and again', async () => {
    const { file, out } = await withGap(server, 'fail');
    for (let start = 0; start < 2; start++) {
      const { exit, stderr } = await runToEnd(file);
      const [error] = logLines(stderr).filter(({ level }) => level === 'error');
      expect(error).toMatchObject({ code: 'source.position-lost' });
      expect(error!.advice).toMatch(/source\.on_gap/);
      expect(exit).toBe(1);
    }
    expect(await rowsOf(out)).toEqual(['r:1', 'r:2']);
  });
});
