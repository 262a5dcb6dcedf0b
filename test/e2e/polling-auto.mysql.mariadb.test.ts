/** `mode: auto` on MySQL and MariaDB: what keeps it from the log, how it goes over to it, and back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Headwater, type Workspace, workspace } from './headwater.ts';
import { MYSQL_FLAVOURS } from './mysql-flavours.ts';
import { type AutoSource, followChangeOver, killAtChangeOver, leaveLog } from './polling-auto.ts';
import { delivered, polledPipeline, polledRows, replayed } from './polling-support.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const TABLE =
  'CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamp NOT NULL DEFAULT current_timestamp)';

describe.each(MYSQL_FLAVOURS)('$connector', ({ connector, open, start, privileges }) => {
  async function withUser(use: (files: Workspace, source: AutoSource) => Promise<void>): Promise<void> {
    await using database = await open();
    const user = `${database.name}_auto`;
    await database.query(`${TABLE}; CREATE USER ${user}@'%' IDENTIFIED BY 'geheim-genug';
      GRANT SELECT ON ${database.name}.* TO ${user}@'%'; GRANT PROCESS ON *.* TO ${user}@'%'`);
    const url = new URL(database.url);
    url.username = user;
    url.password = 'geheim-genug';
    try {
      await use(files, {
        url: url.href,
        table: `${database.name}.t`,
        connector,
        query: (sql) => database.query(sql),
        grant: () => database.query(`GRANT ${privileges} ON *.* TO ${user}@'%'`),
        revoke: () => database.query(`REVOKE ${privileges} ON *.* FROM ${user}@'%'`),
      });
    } finally {
      await database.query(`DROP USER ${user}@'%'`);
    }
  }

  it('goes over to the log while it runs, when its user may read it', async () => {
    expect.hasAssertions();
    await withUser(followChangeOver);
  });

  it('goes over to the log without losing a delete, however often it is killed meanwhile', async () => {
    expect.hasAssertions();
    await withUser(killAtChangeOver);
  });

  it('polls when the log is out of reach again, and tells of what was deleted since it was read last', async () => {
    expect.hasAssertions();
    await withUser(leaveLog);
  });

  it('polls a server without a binary log, reads its log when there is one, and polls again when there is none', async () => {
    await using server = await start({ settings: { 'skip-log-bin': '1' } });
    await server.query(`CREATE DATABASE shop; USE shop; ${TABLE}; INSERT INTO t (id, v) VALUES (1, 1)`);
    const polled = await polledPipeline(files, {
      url: server.urlFor({ database: 'shop' }),
      mode: 'auto',
      tables: ['shop.t'],
      poll: '{ every: 100ms, tables: { shop.t: { timestamp: updated_at } } }',
    });
    const missing = [
      expect.stringContaining('Polling did not remember all rows of shop.t') as string,
      expect.stringContaining('deleted after the log had been read last') as string,
    ];
    const write = (id: number): Promise<unknown> =>
      server.query(`INSERT INTO shop.t (id, v) VALUES (${id}, ${id})`);
    await using daemon = new Headwater(['run', polled.file]);
    for (const [i, mode] of (['poll', 'log', 'poll'] as const).entries()) {
      if (i > 0) await server.restart({ 'skip-log-bin': mode === 'log' ? '0' : '1' });
      await write(10 * i + 10);
      const { capture, warnings } = await daemon.until(
        ({ state, capture: now }) => state === 'streaming' && now?.mode === mode,
      );
      // Rows are not remembered, and what no delete can be told of is said.
      expect(warnings).toEqual(missing.slice(0, i));
      if (mode === 'poll') expect(capture?.reason).toContain('no binary log');
      await write(10 * i + 11);
      await delivered(polled, (rows) => rows.some(({ after }) => after?.['id'] === 10 * i + 11));
    }
    await daemon.stop();
    const all = await polledRows(polled);
    expect(
      replayed(all)
        .map(({ id }) => Number(id))
        .toSorted((a, b) => a - b),
    ).toEqual([1, 10, 11, 20, 21, 30, 31]);
    const changes = all.filter(({ op }) => op !== 'r').map(({ key }) => key);
    expect(new Set(changes).size).toBe(changes.length);
    expect(daemon.log.flatMap(({ mode }) => mode ?? [])).toEqual(['poll', 'log', 'poll']);
  });
});
