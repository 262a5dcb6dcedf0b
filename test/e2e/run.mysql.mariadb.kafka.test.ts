/** A MySQL and a MariaDB pipeline as users run them: snapshot, stream, kill, resume, into files and Kafka. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestKafka, testKafka, testMariadb, type TestMysql, testMysql } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles, readUntil, sentinel, summary } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
});
afterAll(() => files?.[Symbol.asyncDispose]());

describe.each<[string, () => Promise<TestMysql>]>([
  ['MySQL', () => testMysql()],
  ['MariaDB', () => testMariadb()],
])('%s', (product, testServer) => {
  test('what was there and what changes goes into files, each once, over restarts', async () => {
    await using db = await testServer();
    await db.query(
      "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    );
    const dir = files.path(`${product}-files`);
    const file = await files.write(
      `${product}-files.yaml`,
      pipelineFile({
        name: `${kafka.prefix}-${product}-files`,
        url: db.url,
        tables: [`${db.name}.t`],
        path: dir,
      }),
    );
    await db.query('ALTER TABLE t ADD COLUMN w INT');
    expect((await runToEnd(file)).exit).toBe(0);
    await db.query(
      "UPDATE t SET v = 'A' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c', 1)",
    );
    expect((await runToEnd(file)).exit).toBe(0);
    await db.query('ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (4, 2)');
    const finished = await runToEnd(file);
    expect([finished.exit, finished.stderr]).toEqual([0, expect.any(String)]);
    const records = await readFiles(dir);
    expect(summary(records)).toEqual(['r:1', 'r:2', 'u:1', 'd:2', '-', 'c:3', 'c:4']);
    expect(records.at(-1)!.value!.after).toEqual({ id: 4, w: 2 });
  });

  test('a daemon that is killed again and again delivers everything once to Kafka', async () => {
    await using db = await testServer();
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
    const name = `${kafka.prefix}-${product}`;
    const file = await files.write(
      `${product}.yaml`,
      pipelineFile({
        name,
        url: db.url,
        tables: [`${db.name}.*`],
        brokers: kafka.brokers,
        kafka: ['session_timeout: 6s'],
      }),
    );
    const topic = `${name}.${db.name}.t`;
    let id = 0;
    const insert = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await db.query(`INSERT INTO t VALUES (${++id}, ${i})`);
    };
    for (let round = 0; round < 3; round++) {
      await using daemon = new Headwater(['run', file]);
      await daemon.until(({ state }) => state === 'streaming');
      await insert(20);
      const last = id;
      await readUntil(kafka.brokers, [topic], sentinel(last));
      await insert(20);
      await daemon.kill();
    }
    await using daemon = new Headwater(['run', file]);
    await db.query('INSERT INTO t VALUES (1000, 0)');
    const records = await readUntil(kafka.brokers, [topic], sentinel(1000));
    expect(summary(records)).toEqual([...Array.from({ length: id }, (_, i) => `c:${i + 1}`), 'c:1000']);
    await daemon.stop();
    const shown = await headwater(['offsets', 'show', file]);
    expect(shown.exit).toBe(0);
    expect(shown.stdout).toContain('"gtid"');
  });
});
