import { describe, expect, test } from 'vitest';
import { registeredRecords } from '../support/registered-records.ts';
import { testDatabase, testRegistry } from '../support/servers.ts';
import { headwater, runToEnd, workspace } from './headwater.ts';
import { writeRegistryPipeline } from './registry-pipeline.ts';

async function orders(database: Awaited<ReturnType<typeof testDatabase>>): Promise<void> {
  await database.query(`
    CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric(10,2) NOT NULL, made timestamptz);
    INSERT INTO orders VALUES (1, 'first', 12.50, '2024-05-06 07:08:09.123456+00'), (2, NULL, -0.01, NULL);`);
}

describe.each(['avro', 'protobuf', 'json-schema'] as const)('%s', (format) => {
  test('a snapshot and changes are readable with the schemas in the registry', async () => {
    await using database = await testDatabase();
    const registry = await testRegistry();
    await using work = await workspace();
    await orders(database);
    const name = registry.prefix;
    const file = await writeRegistryPipeline(work, {
      registry,
      url: database.url,
      tables: ['public.orders'],
      format,
    });
    const doctor = await headwater(['doctor', file]);
    expect(doctor.exit, doctor.stdout).toBe(0);
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });
    await database.query(`
      UPDATE orders SET note = 'changed' WHERE id = 2;
      DELETE FROM orders WHERE id = 1;`);
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });

    const records = await registeredRecords(work.path('out'), registry);
    expect(records.map(({ topic }) => topic)).toEqual(Array(5).fill(`${name}.public.orders`));
    expect(records.map(({ key }) => key)).toEqual([{ id: 1 }, { id: 2 }, { id: 2 }, { id: 1 }, { id: 1 }]);
    const [first, second, update, remove, tombstone] = records.map(({ value }) => value);
    expect(first).toMatchObject({
      op: 'r',
      after: { id: 1, note: 'first', made: '2024-05-06T07:08:09.123456Z' },
      source: { connector: 'postgresql', name, schema: 'public', table: 'orders' },
    });
    expect((second!['after'] as { note?: string }).note ?? null).toBeNull();
    expect(update).toMatchObject({ op: 'u', after: { id: 2, note: 'changed' } });
    expect(remove).toMatchObject({ op: 'd', before: { id: 1 } });
    expect(tombstone).toBeNull();
    // Nothing new was registered by the second run.
    expect(await registry.ask(`/subjects/${name}.public.orders-value/versions`)).toEqual([1]);
  });
});
