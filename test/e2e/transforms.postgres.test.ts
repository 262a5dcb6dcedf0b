/** What the settings make of records: columns, routes, the outbox, by the command line on a real database. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testDatabase } from '../support/servers.ts';
import { pipelineFile, runToEnd, workspace } from './headwater.ts';

interface Line {
  readonly topic: string;
  readonly key: unknown;
  // Parsed JSON whose shape is what the test is about.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any;
  readonly headers: Readonly<Record<string, string>>;
}

async function linesIn(dir: string): Promise<readonly Line[]> {
  const segments = (await readdir(dir)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(segments.map((name) => readFile(join(dir, name), 'utf8')));
  return texts.flatMap((text) => text.split('\n').filter(Boolean)).map((line) => JSON.parse(line) as Line);
}

it('changes columns and topics alike in snapshot and stream, and sends what is in the outbox', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  await database.query(`
    CREATE TABLE customers (id int PRIMARY KEY, email text, ssn text, notes text);
    CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
    INSERT INTO customers VALUES (1, 'ann@example.org', '123-45', 'a long note')`);
  const dir = files.path('out');
  const file = await files.write(
    'shop.yaml',
    pipelineFile({
      name: 'shop',
      url: database.url,
      tables: ['public.*'],
      path: dir,
      source: [`postgres: { slot: ${database.name} }`],
      emit: ["routes: [{ match: 'shop\\.public\\.customers', topic: people }]"],
      more: [
        'tables:',
        '  public.customers:',
        '    columns: { exclude: [ssn], mask: { email: 3 }, truncate: { notes: 6 }, rename: { id: customer } }',
        'outbox: { table: public.outbox, headers: { eventType: type } }',
      ],
    }),
  );
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await database.query(`
    BEGIN;
    INSERT INTO customers VALUES (2, 'bob@example.org', '678-90', 'another one');
    INSERT INTO outbox VALUES ('00000000-0000-0000-0000-000000000001', 'order', 'no 17', 'Created', '{"a": 1}');
    DELETE FROM outbox;
    COMMIT`);
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });

  const lines = await linesIn(dir);
  expect(lines.map(({ topic }) => topic)).toEqual(['people', 'people', 'outbox.event.order']);
  const [read, created, message] = lines;
  expect(read).toMatchObject({ key: { customer: 1 }, value: { op: 'r' } });
  expect(read!.value.after).toEqual({ customer: 1, email: '***', notes: 'a long' });
  expect(created!.value.after).toEqual({ customer: 2, email: '***', notes: 'anothe' });
  expect(message).toMatchObject({ key: 'no 17', value: '{"a": 1}', headers: { eventType: 'Created' } });
});

it('keeps only the rows that satisfy a filter in the topic', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  await database.query(`
    CREATE TABLE orders (id int PRIMARY KEY, status text);
    INSERT INTO orders VALUES (1, 'paid'), (2, 'new')`);
  const dir = files.path('out');
  const pipeline = (filter: string): string =>
    pipelineFile({
      name: 'shop',
      url: database.url,
      tables: ['public.orders'],
      path: dir,
      source: [`postgres: { slot: ${database.name} }`],
      more: [`tables: { public.orders: { filter: "${filter}" } }`],
    });
  const wrong = await runToEnd(await files.write('wrong.yaml', pipeline("stauts = 'paid'")));
  expect(wrong.exit).toBe(2);
  expect(wrong.stderr).toContain(
    'The filter of public.orders, line 1:1: there is no column STAUTS in public.orders; did you mean STATUS?',
  );
  const file = await files.write('shop.yaml', pipeline("status = 'paid'"));
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await database.query("UPDATE orders SET status = 'paid' WHERE id = 2");
  await database.query("UPDATE orders SET status = 'void' WHERE id = 1");
  await database.query("INSERT INTO orders VALUES (3, 'new'); DELETE FROM orders WHERE id = 2");
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  expect(
    (await linesIn(dir)).map(({ key, value }) => [(key as { id: number }).id, value?.op ?? null]),
  ).toEqual([
    [1, 'r'],
    [2, 'u'],
    [1, 'd'],
    [1, null],
    [2, 'd'],
    [2, null],
  ]);
});
