/** A log that is begun anew under a running daemon: the server goes on waiting for the old one to grow, and says nothing. */
import { expect, it } from 'vitest';
import { startMariadb, startMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

it.each([
  ['MySQL', () => startMysql({ version: '9' }), 'RESET BINARY LOGS AND GTIDS'],
  [
    'MySQL without GTIDs',
    () => startMysql({ version: '9', settings: { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' } }),
    'RESET BINARY LOGS AND GTIDS',
  ],
  ['MariaDB', () => startMariadb({ version: '11.8' }), 'RESET MASTER'],
] as const)('%s: is noticed, and answered as on_gap says', async (_, start, reset) => {
  await using files = await workspace();
  await using server = await start();
  await server.query(`CREATE DATABASE d; CREATE TABLE d.a (id INT PRIMARY KEY); INSERT INTO d.a VALUES (1)`);
  const text = pipelineFile({
    name: 'reset',
    url: server.url,
    tables: ['d.a'],
    path: files.path('rows'),
    source: ['tls: { mode: disable }'],
  });
  await using daemon = new Headwater(['run', await files.write('reset.yaml', text)]);
  await daemon.until(({ state, counters }) => state === 'streaming' && counters.reads === 1);
  await server.query('INSERT INTO d.a VALUES (2)');
  await daemon.until(({ counters }) => counters.creates >= 1);
  await server.query(`${reset}; INSERT INTO d.a VALUES (3)`);
  await daemon.until(({ counters, state }) => state === 'streaming' && counters.reads >= 4);
  await server.query('INSERT INTO d.a VALUES (4)');
  await daemon.until(({ counters }) => counters.creates >= 2);
  expect((await daemon.stop()).exit).toBe(0);
  const rows = (await readFiles(files.path('rows'))).filter(({ topic }) => topic === 'reset.d.a');
  expect(summary(rows)).toEqual(['r:1', 'c:2', 'r:1', 'r:2', 'r:3', 'c:4']);
});
