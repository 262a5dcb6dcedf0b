/** A consumer nobody here wrote: Debezium's JDBC sink makes of our topics a database that equals the source. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { debeziumPlugin, startConnectWorker } from '../../src/local-servers/connect.ts';
import { Headwater, pipelineFile, workspace } from '../e2e/headwater.ts';
import { apicurioSerdes, apicurioSettings } from '../support/apicurio-serdes.ts';
import { testDatabase, testKafka, testRegistry } from '../support/servers.ts';

const TABLE = `id int PRIMARY KEY, name text, amount numeric(12,3), ok boolean, at timestamptz, big bigint, day date`;

const CONTENT = 'SELECT id, name, amount, ok, at, big, day FROM ';

interface Format {
  /** Settings of ours below `emit:`. */
  readonly emit: readonly string[];
  readonly converter: string;
  /** Of the converter. */
  readonly settings: Readonly<Record<string, string>>;
  /** Where Connect finds it. */
  readonly plugins: readonly string[];
}

async function formatNamed(name: 'json-with-schema' | 'avro'): Promise<Format> {
  if (name === 'json-with-schema')
    return {
      emit: ['format: json-with-schema'],
      converter: 'org.apache.kafka.connect.json.JsonConverter',
      settings: { 'schemas.enable': 'true' },
      plugins: [],
    };
  const { url } = await testRegistry();
  return {
    emit: ['format: avro', `registry: { url: ${url} }`],
    converter: 'io.apicurio.registry.utils.converter.AvroConverter',
    settings: apicurioSettings(url),
    plugins: [await apicurioSerdes()],
  };
}

test.each(['json-with-schema', 'avro'] as const)(
  'the JDBC sink reads %s',
  async (name) => {
    const format = await formatNamed(name);
    await using source = await testDatabase();
    await using target = await testDatabase();
    const { brokers, prefix } = await testKafka();
    await using work = await workspace();
    await source.query(`
    CREATE TABLE orders (${TABLE});
    INSERT INTO orders SELECT i, 'name ' || i, i * 1.125, i % 2 = 0, now(), i * 10000000000, current_date
      FROM generate_series(1, 50) i;`);
    const file = await work.write(
      'shop.yaml',
      pipelineFile({
        name: prefix,
        url: source.url,
        tables: ['public.orders'],
        brokers,
        emit: format.emit,
      }),
    );
    await using daemon = new Headwater(['run', file]);
    await daemon.until(({ tables }) => (tables[0]?.events ?? 0) >= 50);
    await source.query(`
    UPDATE orders SET name = NULL, amount = -0.001 WHERE id <= 10;
    DELETE FROM orders WHERE id > 40;
    UPDATE orders SET id = 100 WHERE id = 1;
    ALTER TABLE orders ADD COLUMN more text;
    INSERT INTO orders VALUES (200, 'žluť', 1.000, true, now(), 9007199254740993, '2024-02-29', 'column');`);
    await daemon.until(
      ({ confirmed, sourceHead, caughtUp }) => caughtUp && confirmed !== null && sourceHead !== null,
    );

    const url = new URL(target.url);
    const converters = Object.fromEntries(
      ['key', 'value'].flatMap((part) => [
        [`${part}.converter`, format.converter],
        ...Object.entries(format.settings).map(([key, value]) => [`${part}.converter.${key}`, value]),
      ]),
    );
    await using connect = await startConnectWorker({
      brokers,
      plugins: [await debeziumPlugin('jdbc', '3.6.0.Final'), ...format.plugins],
      discovery: 'hybrid_warn',
      connectors: [
        {
          name: `${prefix}-sink`,
          'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
          topics: `${prefix}.public.orders`,
          'connection.url': `jdbc:postgresql://${url.host}${url.pathname}`,
          'connection.username': decodeURIComponent(url.username),
          'connection.password': decodeURIComponent(url.password) || 'none',
          'insert.mode': 'upsert',
          'delete.enabled': 'true',
          'primary.key.mode': 'record_key',
          'schema.evolution': 'basic',
          'collection.name.format': 'orders',
          'consumer.override.auto.offset.reset': 'earliest',
          'consumer.override.isolation.level': 'read_committed',
          // The one Connect takes by itself guesses at types, and fails on a key with its schema (__debezium.newkey).
          'header.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
          ...converters,
        },
      ],
    });
    const rows = async (database: typeof source): Promise<readonly unknown[]> =>
      database.query(`${CONTENT} orders ORDER BY id`).catch((): readonly unknown[] => []); // the sink has not made it yet
    const wanted = await rows(source);
    expect(wanted).toHaveLength(41);
    for (;;) {
      const found = await rows(target);
      if (JSON.stringify(found) === JSON.stringify(wanted)) break;
      const log = await readFile(connect.logFile, 'utf8').catch(() => '');
      const failed = /^.*(?:Task threw an uncaught|unrecoverable exception|Failed to create).*$/m.exec(log);
      if (failed !== null) throw new Error(log.slice(failed.index, failed.index + 4_000));
      await new Promise((settle) => setTimeout(settle, 500));
    }
    expect((await daemon.stop()).exit).toBe(0);
  },
  300_000,
);
