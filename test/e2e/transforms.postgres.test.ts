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
