/** What could not be delivered: looked at, and made good when the cause is mended. */
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeadLetterRecord } from '../../src/daemon/dead-letters.ts';
import { freePort, testKafka, testMysql } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readFiles, readUntil } from './topic-records.ts';

let files: Workspace;

beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

const TOO_LARGE = '18446744073709551615';

it.each(['file', 'Kafka'])(
  'a number that no record could hold reaches its topic when the settings make it text: %s',
  async (sink) => {
    await using server = await testMysql('9');
    const database = server.name;
    await server.query(`CREATE TABLE ${database}.t (id INT PRIMARY KEY, n BIGINT UNSIGNED, note TEXT);
    INSERT INTO ${database}.t VALUES (1, 1, 'a')`);
    const kafka = sink === 'Kafka' ? await testKafka() : null;
    // Its topics are named for it, and other files share the broker.
    const name = `dlq-${database}`;
    const out = files.path(name);
    const http = `127.0.0.1:${await freePort()}`;
    const text = (overflow: string): string =>
      pipelineFile({
        name,
        url: server.url,
        tables: [`${database}.t`],
        ...(kafka === null ? { path: out } : { brokers: kafka.brokers }),
        http,
        source: [`mysql: { unsigned_overflow: ${overflow} }`],
      });
    const file = await files.write(`${name}.yaml`, text('quarantine'));
    await using daemon = new Headwater(['run', file]);
    await daemon.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
    expect((await headwater(['dlq', 'list', file])).stdout).toBe('There are no dead letters.\n');
    await server.query(`INSERT INTO ${database}.t VALUES (2, ${TOO_LARGE}, 'b'), (3, 3, 'c');
    UPDATE ${database}.t SET n = ${TOO_LARGE}, note = 'd' WHERE id = 1; UPDATE ${database}.t SET note = 'e' WHERE id = 1`);
    const told = await daemon.until(({ tables }) => tables[0]?.deadLetters === 3);
    expect(told.tables[0]!.lastDeadLetter!.code).toBe('delivery.unsigned-overflow');

    const listed = await headwater(['dlq', 'list', file, '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      deadLetters: [{ table: `${database}.t`, code: 'delivery.unsigned-overflow', count: 3 }],
    });
    const shown = await headwater(['dlq', 'show', file, '--json', '--table', `${database}.t`]);
    const letters = shown.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as DeadLetterRecord);
    expect(letters).toMatchObject([
      { op: 'c', after: { id: 2, n: TOO_LARGE, note: 'b' }, source: { db: database } },
      { op: 'u', after: { id: 1, note: 'd' } },
      { op: 'u', after: { id: 1, note: 'e' } },
    ]);
    expect((await headwater(['dlq', 'show', file, '--code', 'internal.bug'])).stdout).toBe('');

    await writeFile(file, text('string'));
    expect((await headwater(['reload', file])).exit).toBe(0);
    await daemon.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
    // Twice: no harm.
    for (let turn = 0; turn < 2; turn++) {
      const replayed = await headwater(['dlq', 'replay', file]);
      expect(replayed).toMatchObject({
        exit: 0,
        stdout: `${name}: ${database}.t is read again, 2 rows, for 3 dead letters\n`,
      });
      await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
    }
    await daemon.until(({ tables }) => tables[0]?.snapshot === 'done' && tables[0].rowsSnapshotted === 2);
    expect((await daemon.stop()).exit).toBe(0);
    const latest = new Map<unknown, unknown>();
    const reads: unknown[] = [];
    const topic = `${name}.${database}.t`;
    const records =
      kafka === null
        ? await readFiles(out)
        : // The second replay ends with row 2, read for the second time.
          await readUntil(
            kafka.brokers,
            [topic],
            (all) => all.filter(({ value }) => value?.op === 'r').length === 5,
          );
    for (const { topic: found, value } of records) {
      if (found !== topic || value?.after == null) continue;
      latest.set(value.after['id'], value.after);
      if (value.op === 'r') reads.push(value.after['id']);
    }
    expect(latest).toEqual(
      new Map([
        [1, { id: 1, n: TOO_LARGE, note: 'e' }],
        [2, { id: 2, n: TOO_LARGE, note: 'b' }],
        [3, { id: 3, n: 3, note: 'c' }],
      ]),
    );
    // The first snapshot, and each replay: nothing of row 3, which had no letter.
    expect(reads).toEqual([1, 1, 2, 1, 2]);
  },
);
