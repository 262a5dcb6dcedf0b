/** A consumer nobody here wrote: Apicurio's deserialiser for Java reads our Avro, ids, names and values. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { requireJava } from '../../src/local-servers/java.ts';
import { run } from '../../src/local-servers/processes.ts';
import { pipelineFile, runToEnd, workspace } from '../e2e/headwater.ts';
import { apicurioSerdes, apicurioSettings } from '../support/apicurio-serdes.ts';
import { testDatabase, testKafka, testRegistry } from '../support/servers.ts';

interface Line {
  readonly key: Readonly<Record<string, unknown>>;
  readonly value: {
    readonly op: string;
    readonly before: Readonly<Record<string, unknown>> | null;
    readonly after: Readonly<Record<string, unknown>> | null;
    readonly source: Readonly<Record<string, unknown>>;
  } | null;
  readonly keySchema: string;
  readonly valueSchema: string | null;
}

test.each(['debezium', 'safe'] as const)('profile %s', async (profile) => {
  await requireJava('Apicurio’s deserialiser');
  await using source = await testDatabase();
  const { brokers, prefix } = await testKafka();
  const registry = await testRegistry();
  await using work = await workspace();
  await source.query(`
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE people (id bigint PRIMARY KEY, name text DEFAULT 'nobody', amount numeric(20,4) NOT NULL,
      small smallint, ok boolean, part double precision, mood mood, bytes bytea, tags text[], "odd name" int,
      born date);
    ALTER TABLE people REPLICA IDENTITY FULL;
    INSERT INTO people VALUES
      (1, 'žluť', -1234567890123456.7891, -3, true, 0.5, 'happy', '\\x00ff', '{a,NULL,b}', 7, '2024-02-29'),
      (9007199254740993, NULL, 0.0000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);`);
  const file = await work.write(
    'shop.yaml',
    pipelineFile({
      name: prefix,
      url: source.url,
      tables: ['public.people'],
      brokers,
      emit: ['format: avro', `profile: ${profile}`, `registry: { url: ${registry.url}, names: avro }`],
    }),
  );
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await source.query(`
    UPDATE people SET name = 'changed' WHERE id = 1;
    ALTER TABLE people ADD COLUMN more int;
    INSERT INTO people (id, amount, more) VALUES (3, 1, 5);
    DELETE FROM people WHERE id = 3;`);
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });

  const topic = `${prefix}.public.people`;
  const { stdout } = await run('java', [
    ...['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    ...['-cp', join(await apicurioSerdes(), 'converter', '*')],
    join(import.meta.dirname, '../support/java/ReadAvro.java'),
    ...[brokers, topic],
    ...Object.entries(apicurioSettings(registry.url)).map(([key, value]) => `${key}=${value}`),
  ]);
  const lines = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
  const first = {
    id: '1',
    name: 'žluť',
    amount: '-1234567890123456.7891',
    small: -3,
    ok: true,
    part: 0.5,
    mood: 'happy',
    bytes: 'AP8=',
    tags: ['a', null, 'b'],
    odd_name: 7,
    born: profile === 'safe' ? '2024-02-29' : 19_782,
  };
  const rest = { small: null, ok: null, part: null, mood: null, bytes: null, tags: null, odd_name: null };
  const second = { id: '9007199254740993', name: null, amount: '0.0000', ...rest, born: null };
  const third = { id: '3', name: 'nobody', amount: '1.0000', ...rest, born: null, more: 5 };
  expect(lines.map(({ key }) => key['id'])).toEqual(['1', '9007199254740993', '1', '3', '3', '3']);
  expect(lines.map(({ value }) => value && [value.op, value.before, value.after])).toEqual([
    ['r', null, first],
    ['r', null, second],
    ['u', first, { ...first, name: 'changed' }],
    ['c', null, third],
    ['d', third, null],
    null, // the tombstone
  ]);
  expect(lines[0]!.value!.source).toMatchObject({ connector: 'postgresql', name: prefix, table: 'people' });
  expect(new Set(lines.map(({ keySchema }) => keySchema))).toEqual(new Set([`${topic}.Key`]));
  expect(new Set(lines.map(({ valueSchema }) => valueSchema))).toEqual(new Set([`${topic}.Envelope`, null]));
});
