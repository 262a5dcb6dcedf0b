import { expect, test } from 'vitest';
import { makeReader, openReader, readToEnd } from '../support/mysql-reader.ts';
import { startMariadb, startMysql } from '../support/servers.ts';

test.each([
  ['MySQL', () => startMysql({ version: '9' })],
  ['MariaDB', () => startMariadb({ version: '11.8' })],
])('on an idle %s a restart by GTID comes to the end of the file too', async (_, start) => {
  await using server = await start();
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity, identity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  await server.query('INSERT INTO d.t VALUES (1); INSERT INTO d.t VALUES (2)');
  const { position, state } = await readToEnd(reader, continuity.start);
  await using again = makeReader(db);
  await openReader(again, { stored: { position, identity }, state });
  const head = (await again.head(new AbortController().signal)).position;
  // The server passes over what the position holds, from the beginning of the file.
  const { position: end } = await readToEnd(again, position, {
    done: ({ file, pos }) => file === head.file && pos === head.pos,
  });
  expect([end.file, end.pos, String(end.gtids)]).toEqual([head.file, head.pos, String(head.gtids)]);
});
