/** A client that follows a table over a topic: its rows are committed, and come without a commit of ours. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TableRows } from '../../src/enrichment/queries/push-query.ts';
import { RowQueue } from '../../src/enrichment/queries/row-queue.ts';
import { planSelect } from '../../src/enrichment/queries/select-plan.ts';
import { parseStatement } from '../../src/enrichment/sql/parse-statement.ts';
import { MemoryTopics, startTopics } from '../support/memory-topics.ts';

const SQL = `CREATE TABLE customers (id STRING PRIMARY KEY, club STRING)
  WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');`;

it('tells what the topic brings, also while nothing else is written', async () => {
  const topics = new MemoryTopics();
  topics.create('customers', 1);
  const { queries, program } = startTopics(topics, 'shop', SQL);
  await using _ = queries;
  const [table] = program.topicTables;
  while (table!.timeline === null) await sleep(1);
  const source = { text: 'SELECT * FROM customers EMIT CHANGES', line: 1, column: 1 };
  const parsed = parseStatement(source, 'friendly');
  const { statement } = parsed;
  if (statement.kind !== 'select') throw new Error('a SELECT is asked for');
  const request = { select: statement.select, parsed, fromBeginning: false, scans: null };
  const plan = planSelect(request, program, 'friendly');
  if (plan.kind !== 'push' || plan.over !== 'table') throw new Error('the changes of a table are asked for');
  const queue = new RowQueue(null, 0);
  table!.observe().listen(new TableRows(plan, queue));
  topics.send('customers', 0, { key: 'c1', value: { club: 'gold' }, timestamp: 1 });
  topics.send('customers', 0, { key: 'c1', value: null, timestamp: 2 });
  const told: unknown[] = [];
  for await (const rows of queue.read()) {
    told.push(...rows.map(({ text, tombstone }) => [JSON.parse(text), tombstone]));
    if (told.length === 2) queue.finish('closed');
  }
  expect(told).toEqual([
    [['c1', 'gold'], false],
    [['c1', null], true],
  ]);
});
