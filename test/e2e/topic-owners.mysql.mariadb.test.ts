/** Tables that come to one topic by their names alone: one of them waits, told with what to do. */
import { describe, expect, test } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { startMariadb, startMysql } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

const SERVERS = [
  ['MySQL', () => startMysql({ version: '9' })],
  ['MariaDB', () => startMariadb({ version: '11.8' })],
] as const;

const stateOf = ({ tables }: PipelineStatus, name: string): string | undefined =>
  tables.find(({ table }) => table === name)?.state;

describe.each(SERVERS)('%s', (product, start) => {
  test('`a.b`.`c` and `a`.`b.c` never mix, at the start or when one is made', async () => {
    await using server = await start();
    await using files = await workspace();
    await server.query(`CREATE DATABASE a; CREATE DATABASE \`a.b\`; CREATE TABLE a.\`b.c\` (id INT PRIMARY KEY, x INT);
      CREATE TABLE \`a.b\`.c (id INT PRIMARY KEY, y INT); INSERT INTO a.\`b.c\` VALUES (1, 1);
      INSERT INTO \`a.b\`.c VALUES (1, 2); CREATE TABLE a.\`o s\` (id INT PRIMARY KEY)`);
    const name = `owners${product.toLowerCase()}`;
    const path = files.path('out');
    const write = (more: readonly string[]): Promise<string> =>
      files.write('p.yaml', pipelineFile({ name, url: server.url, tables: ['a.*', 'a.b.*'], path, more }));
    const delivered = async (): Promise<readonly string[]> =>
      (await readFiles(path))
        // Schema changes and notifications of a gap aside.
        .filter(({ value }) => value?.op !== undefined)
        .map(({ topic, value }) => `${topic} ${value!.op} ${JSON.stringify(value!.after)}`);
    const file = await write([]);
    const doctor = await headwater(['doctor', file]);
    expect(doctor.stdout).toContain('The table "a.b".c waits: its topic');
    expect(doctor.stdout).toContain('tables.….topic');

    const first = await runToEnd(file);
    expect(first.exit, first.stderr).toBe(1);
    expect(first.stderr).toContain('settings.topic-taken');
    const ofFirst = `${name}.a.b.c r {"id":1,"x":1}`;
    expect(await delivered()).toEqual([ofFirst]);

    await using run = new Headwater(['run', file]);
    await run.until((status) => status.state === 'streaming' && stateOf(status, '"a.b".c') === 'quarantined');
    await server.query(`CREATE TABLE a.o_s (id INT PRIMARY KEY); INSERT INTO a.o_s VALUES (7);
      UPDATE \`a.b\`.c SET y = 3; UPDATE a.\`b.c\` SET x = 4; INSERT INTO a.\`o s\` VALUES (5)`);
    const settled = await run.until(
      (status) =>
        stateOf(status, 'a.o_s') === 'quarantined' &&
        status.tables.some(({ table, events }) => table === 'a.o s' && events === 1),
    );
    expect(settled.tables.find(({ table }) => table === 'a.o_s')).toMatchObject({
      reason: `The table a.o_s waits: its topic ${name}.a.o_s is that of the table a.o s.`,
      advice: expect.stringContaining('emit.routes') as string,
    });
    expect(stateOf(settled, 'a.b.c')).toBe('streaming');
    expect((await run.stop()).exit).toBe(0);
    const ofOthers = [`${name}.a.b.c u {"id":1,"x":4}`, `${name}.a.o_s c {"id":5}`];
    expect(await delivered()).toEqual([ofFirst, ...ofOthers]);

    const again = await runToEnd(
      await write(['tables:', '  \'"a.b".c\': { topic: apart }', '  a.o_s: { topic: spaceless }']),
    );
    expect(again.exit, again.stderr).toBe(0);
    const records = await delivered();
    expect(records.slice(0, 3)).toEqual([ofFirst, ...ofOthers]);
    expect(records.slice(3).toSorted()).toEqual(['apart r {"id":1,"y":3}', 'spaceless r {"id":7}']);
  });
});
