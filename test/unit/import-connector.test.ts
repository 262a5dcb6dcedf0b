import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { readConnectorFile } from '../../src/settings/debezium/connector-file.ts';
import { type ImportedConnector, importConnector } from '../../src/settings/debezium/import-connector.ts';
import {
  BINLOG,
  COMMON,
  CONNECT,
  namesIn,
  ORACLE,
  POSTGRES as POSTGRES_ONLY,
} from '../support/debezium-properties.ts';
import { loadSettings } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/settings.ts';

const POSTGRES = {
  'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
  'database.hostname': 'db',
  'database.user': 'debezium',
  'database.dbname': 'inventory',
  'topic.prefix': 'shop',
} as const;

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headwater-import-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function imported(config: Readonly<Record<string, string>>): ImportedConnector {
  const text = JSON.stringify({ name: 'inventory-connector', config: { ...POSTGRES, ...config } });
  return importConnector(readConnectorFile(text, 'debezium.json'), ['kafka:9092']);
}

function notes(config: Readonly<Record<string, string>>): readonly (string | null)[] {
  return imported(config).notes.map(({ property }) => property);
}

/** What comes out is what `headwater run` takes. */
async function loaded(config: Readonly<Record<string, string>>): Promise<Settings> {
  const file = join(directory, 'shop.yaml');
  await writeFile(file, stringify(imported(config).settings));
  const [settings] = await loadSettings([file], {
    HEADWATER_SOURCE_PASSWORD: 'x',
    HEADWATER_HASH_KEY: 'k',
    PG_PASSWORD: 'y',
  });
  return settings!;
}

describe('a connector becomes settings that run', () => {
  test('the shortest', async () => {
    expect(imported({})).toEqual({
      settings: {
        name: 'shop',
        source: { url: 'postgres://debezium@db:5432/inventory', tables: ['*.*'] },
        emit: { kafka: { brokers: ['kafka:9092'] } },
      },
      notes: [],
    });
    expect(await loaded({})).toMatchObject({ name: 'shop', source: { database: 'inventory' } });
  });

  test('tables: names stay names, expressions become expressions', async () => {
    const { source } = await loaded({
      'table.include.list': String.raw`public\.orders, public.customers,sales_.*\.t[0-9]{1,2},(a|b),c\.d`,
      'table.exclude.list': 'public.secret',
    });
    expect(source.tables).toEqual([
      'public.orders',
      'public.customers',
      String.raw`/sales_.*\.t[0-9]{1,2}/`,
      '/(a|b)/',
      'c.d',
      '!public.secret',
    ]);
    expect((await loaded({ 'schema.include.list': 'sales,crm_.*' })).source.tables).toEqual([
      'sales.*',
      String.raw`/(?:crm_.*)\..*/`,
    ]);
  });

  test('columns and keys', async () => {
    const settings = await loaded({
      'column.exclude.list': 'public.customers.ssn,public.customers.pin',
      'column.mask.with.5.chars': 'public.customers.phone',
      'column.mask.hash.SHA-256.with.salt.CzQMA0cB5K': 'public.customers.email',
      'column.truncate.to.20.chars': 'public.orders.note',
      'message.key.columns': 'public.orders:id,region;public.customers:tenant',
    });
    expect(settings.tables.get('public.customers')).toMatchObject({
      key: ['tenant'],
      columns: {
        exclude: ['ssn', 'pin'],
        mask: new Map<string, string | number>([
          ['phone', 5],
          ['email', 'hash'],
        ]),
      },
    });
    expect(settings.tables.get('public.orders')).toMatchObject({
      key: ['id', 'region'],
      columns: { truncate: new Map([['note', 20]]) },
    });
    expect(settings.emit.hashKey?.reveal()).toBe('k');
  });

  test('snapshot, slot, delivery', async () => {
    const settings = await loaded({
      'slot.name': 'dbz',
      'publication.name': 'dbz_pub',
      'snapshot.mode': 'never',
      'snapshot.max.threads': '4',
      'snapshot.select.statement.overrides': 'public.orders',
      'snapshot.select.statement.overrides.public.orders':
        "SELECT * FROM public.orders WHERE created > now() - interval '1 year'",
      'heartbeat.interval.ms': '10000',
      'tombstones.on.delete': 'false',
      'skipped.operations': 'd',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'producer.override.compression.type': 'zstd',
      'topic.creation.default.partitions': '6',
      'topic.creation.default.replication.factor': '-1',
      'topic.creation.default.cleanup.policy': 'compact',
    });
    expect(settings).toMatchObject({
      source: { postgres: { slot: 'headwater_shop', publication: 'headwater_shop' } }, // never the connector's own
      snapshot: { mode: 'no_data', parallelism: 4 },
      emit: {
        format: 'json-with-schema',
        heartbeatMs: 10_000,
        tombstones: false,
        truncates: true,
        skipOperations: ['d'],
        sink: {
          producer: { compression: 'zstd' },
          topics: { partitions: 6, replicationFactor: null, config: { 'cleanup.policy': 'compact' } },
        },
      },
    });
    expect(settings.snapshot.where.get('public.orders')).toBe("created > now() - interval '1 year'");
  });

  test('transforms: unwrap, routes, outbox', async () => {
    const settings = await loaded({
      'table.include.list': 'public.orders,public.outbox_event',
      transforms: 'unwrap,route,outbox',
      'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
      'transforms.unwrap.delete.tombstone.handling.mode': 'rewrite',
      'transforms.unwrap.add.fields': 'op,source.ts_ms',
      'transforms.route.type': 'io.debezium.transforms.ByLogicalTableRouter',
      'transforms.route.topic.regex': '(.*)_shard',
      'transforms.route.topic.replacement': '$1',
      'transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
      'transforms.outbox.table.field.event.key': 'aggregate_id',
      'transforms.outbox.table.fields.additional.placement': 'type:header:eventType',
      'transforms.outbox.route.topic.replacement': '${routedByValue}.events',
    });
    expect(settings.emit).toMatchObject({
      envelope: 'unwrapped',
      unwrapped: { deletes: 'rewrite', fields: ['op', 'source.ts_ms'] },
      tombstones: false,
      routes: [{ topic: '$1', keyField: { name: '__dbz__physicalTableIdentifier', value: null } }],
    });
    expect(settings.outbox).toMatchObject({
      table: 'public.outbox_event',
      topic: '{route}.events',
      key: 'aggregate_id',
      headers: new Map([['eventType', 'type']]),
    });
  });

  test('the router by the name it has since 3.7', async () => {
    const { emit } = await loaded({
      transforms: 'route',
      'transforms.route.type': 'io.debezium.transforms.ToLogicalTopicRouter',
      'transforms.route.topic.regex': '(.*)_shard',
      'transforms.route.topic.replacement': '$1',
    });
    expect(emit.routes).toMatchObject([
      { topic: '$1', keyField: { name: '__dbz__sourceIdentifier', value: null } },
    ]);
  });

  test('a registry with its login, a producer with its own', async () => {
    const config = {
      'value.converter.basic.auth.credentials.source': 'USER_INFO',
      'value.converter.basic.auth.user.info': 'reg:r3g:password',
      'value.converter.schema.registry.url': 'https://a:8081,https://b:8081',
      'value.converter.value.subject.name.strategy':
        'io.confluent.kafka.serializers.subject.TopicRecordNameStrategy',
      'value.converter': 'io.confluent.connect.avro.AvroConverter',
      'producer.override.security.protocol': 'SASL_SSL',
      'producer.override.sasl.mechanism': 'SCRAM-SHA-512',
      'producer.override.sasl.jaas.config':
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="a\\"b" password="pr0ducer";',
    };
    expect(imported(config).settings['emit']).toEqual({
      kafka: {
        brokers: ['kafka:9092'],
        tls: { mode: 'verify-full' },
        sasl: {
          mechanism: 'SCRAM-SHA-512',
          username: 'a"b',
          password: '${env:HEADWATER_KAFKA_PASSWORD}',
        },
      },
      format: 'avro',
      registry: {
        auth: { username: 'reg', password: '${env:HEADWATER_REGISTRY_PASSWORD}' },
        url: ['https://a:8081', 'https://b:8081'],
        subject: 'topic-record',
      },
    });
    expect(notes(config)).toEqual([
      'value.converter.basic.auth.user.info',
      'producer.override.sasl.jaas.config',
    ]);
  });

  test('a .properties file is read as Java reads it', () => {
    const { name, properties } = readConnectorFile(
      '# comment\nname=inventory\ntopic.prefix : shop\n! more\nlist=a,\\\n    b\nodd\\ key=1\\u00e4\\=\r\nempty\n',
      'x.properties',
    );
    expect(name).toBe('inventory');
    expect(Object.fromEntries(properties)).toEqual({
      'topic.prefix': 'shop',
      list: 'a,b',
      'odd key': '1ä=',
      empty: '',
    });
  });
});

test('the properties of Debezium Server are those of a connector, with brokers, formats and transforms', () => {
  const file = readConnectorFile(
    [
      'debezium.sink.type=kafka',
      'debezium.sink.kafka.producer.bootstrap.servers=kafka:9092',
      'debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector',
      'debezium.source.database.hostname=db',
      'debezium.source.database.user=debezium',
      'debezium.source.database.dbname=inventory',
      'debezium.source.topic.prefix=inventory',
      'debezium.source.table.include.list=public\\\\.orders',
      'debezium.format.value=avro',
      'debezium.format.value.schema.registry.url=http://registry:8081',
      'debezium.transforms=unwrap',
      'debezium.transforms.unwrap.type=io.debezium.transforms.ExtractNewRecordState',
      'quarkus.http.port=8080',
    ].join('\n'),
    'application.properties',
  );
  const { settings, notes } = importConnector(file, null);
  expect(settings).toMatchObject({
    name: 'inventory',
    source: { url: 'postgres://debezium@db:5432/inventory' },
    emit: {
      kafka: { brokers: ['kafka:9092'] },
      format: 'avro',
      registry: { url: 'http://registry:8081' },
      envelope: 'unwrapped',
    },
  });
  const named = notes.map(({ property }) => property);
  expect(named).toEqual(expect.arrayContaining(['debezium.sink.type', 'quarkus.http.port']));
  expect(named).not.toContain(null);
});

describe('what has no equal is said', () => {
  test('property by property', () => {
    expect(
      imported({
        'foo.bar': '1',
        'decimal.handling.mode': 'double',
        'publication.autocreate.mode': 'all_tables',
        'column.exclude.list': 'public.*.ssn',
        'snapshot.select.statement.overrides': 'public.t',
        'snapshot.select.statement.overrides.public.t': 'SELECT a FROM public.t',
        transforms: 'f',
        'transforms.f.type': 'io.debezium.transforms.Filter',
        'transforms.f.condition': 'x',
        'schema.history.internal.kafka.topic': 'h',
        'driver.tcpKeepAlive': 'true',
      }).notes.map(({ property, message }) => `${property}: ${message.split(/[:,;]/)[0]}`),
    ).toEqual([
      'transforms.f.type: is io.debezium.transforms.Filter',
      'schema.history.internal.*: is not needed',
      'foo.bar: is unknown',
      'decimal.handling.mode: has an equal for string only',
      'publication.autocreate.mode: is filtered always',
      'column.exclude.list: has an expression for several columns',
      'snapshot.select.statement.overrides.public.t: is more than a WHERE over the whole table',
      'driver.tcpKeepAlive: has no equal',
    ]);
  });

  test('converters and post-processors with what is theirs, wherever it stands', () => {
    expect(
      notes({
        'isbn.type': 'io.debezium.test.IsbnConverter',
        converters: 'isbn',
        'post.processors': 'reselector',
        'reselector.type': 'io.debezium.processors.reselect.ReselectColumnsPostProcessor',
        'reselector.reselect.columns.include.list': 'public.t:c',
      }),
    ).toEqual(['converters', 'post.processors']);
  });

  test('the slot, the publication and the server id of a connector that may still run', () => {
    expect(notes({ 'slot.name': 'dbz', 'publication.name': 'dbz_pub', 'database.server.id': '77' })).toEqual([
      'slot.name',
      'publication.name',
      'database.server.id',
    ]);
  });

  test('nothing is said of what is as Headwater does it anyway', () => {
    expect(
      notes({
        'plugin.name': 'pgoutput',
        'publication.autocreate.mode': 'filtered',
        'decimal.handling.mode': 'precise',
        'time.precision.mode': 'adaptive',
        'snapshot.mode': 'initial',
        'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'key.converter.schemas.enable': 'false',
        'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'value.converter.schemas.enable': 'false',
      }),
    ).toEqual([]);
  });

  test('no secret gets into the settings or the notes', async () => {
    const config = {
      'database.password': 's3cret-pass',
      'column.mask.hash.SHA-256.with.salt.CzQMA0cB5K': 'public.t.c',
    };
    for (const [property, value] of [
      ['value.converter.schema.registry.url', 'http://u:s3cret-pass@registry:8081'],
      ['value.converter.schema.registry.url', 'http://s3cret-pass@registry:8081'],
      ['value.converter.basic.auth.user.info', 'u:s3cret-pass'],
      ['value.converter.basic.auth.user.info', 's3cret-pass'],
      ['value.converter.bearer.auth.token', 's3cret-pass'],
      ['key.converter.basic.auth.user.info', 'u:s3cret-pass'],
      ['producer.override.sasl.jaas.config', 'x required username="u" password="s3cret-pass";'],
      ['producer.override.sasl.jaas.config', 'x required password="s3cret-pass";'],
      ['producer.override.ssl.key.password', 's3cret-pass'],
      ['signal.consumer.sasl.jaas.config', 's3cret-pass'],
      ['database.url', 'jdbc:x:u/s3cret-pass@h'],
      ['schema.history.internal.producer.sasl.jaas.config', 's3cret-pass'],
    ] as const) {
      const all = {
        'value.converter': 'io.confluent.connect.avro.AvroConverter',
        ...config,
        [property]: value,
      };
      expect(JSON.stringify(imported(all)), property).not.toMatch(/s3cret|CzQ/);
    }
    const { source } = imported({ ...config, 'database.sslpassword': 's3cret-pass' }).settings;
    expect(source).toMatchObject({ tls: { key_passphrase: '${env:HEADWATER_TLS_KEY_PASSPHRASE}' } });
    expect((await loaded(config)).source.password?.reveal()).toBe('x');
    expect((await loaded({ 'database.password': '${env:PG_PASSWORD}' })).source.password?.reveal()).toBe('y');
    expect(notes({ 'database.password': '${file:/secrets.properties:pw}' })).toEqual(['database.password']);
  });
});

describe('what is no such configuration is refused', () => {
  test.each([
    ['{', 'f.json: this is not well-formed JSON'],
    ['{}', 'The configuration has no connector.class.'],
    [
      '{"config": {"connector.class": {}}}',
      'f.json: connector.class is neither text nor a number nor true or false',
    ],
    [
      '{"connector.class": "io.debezium.connector.sqlserver.SqlServerConnector"}',
      'The configuration is that of io.debezium.connector.sqlserver.SqlServerConnector, which Headwater does not replace.',
    ],
  ])('%s', (text, message) => {
    expect(() => importConnector(readConnectorFile(text, 'f.json'), null)).toThrow(message);
  });

  test('any configuration gives settings or one error, and any text as well', () => {
    const config = fc.dictionary(
      fc.constantFrom(
        'message.key.columns',
        'column.exclude.list',
        'transforms',
        'transforms.a.type',
        'table.include.list',
        'snapshot.mode',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(config, (properties) => {
        expect(imported(properties).settings).toMatchObject({ name: 'shop' });
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          importConnector(readConnectorFile(text, 'f'), null);
        } catch (error) {
          expect(error).toBeInstanceOf(HeadwaterError);
        }
      }),
    );
  });
});

describe('every property of Debezium’s connectors is known', () => {
  test.each([
    ['io.debezium.connector.postgresql.PostgresConnector', COMMON + POSTGRES_ONLY],
    ['io.debezium.connector.mysql.MySqlConnector', COMMON + BINLOG],
    ['io.debezium.connector.mariadb.MariaDbConnector', COMMON + BINLOG],
    ['io.debezium.connector.oracle.OracleConnector', COMMON + ORACLE],
  ])('of %s', (connector, list) => {
    const names = namesIn(list + CONNECT);
    const properties = new Map(names.map((name) => [name, 'true']));
    properties.set('connector.class', connector);
    const { notes: told } = importConnector({ name: 'x', properties }, ['kafka:9092']);
    expect(told.filter(({ message }) => message.startsWith('is unknown'))).toEqual([]);
    // In whatever order they stand.
    const reversed = new Map([...properties].toReversed());
    const again = importConnector({ name: 'x', properties: reversed }, ['kafka:9092']).notes;
    expect(new Set(again.map(({ property }) => property))).toEqual(
      new Set(told.map(({ property }) => property)),
    );
  });

  test('and others are listed as unknown', () => {
    expect(imported({ 'slot.nmae': 'x' }).notes).toEqual([
      { property: 'slot.nmae', message: 'is unknown: it is left out' },
    ]);
  });
});

test('what only some connectors have is taken along', async () => {
  const oracle = imported({
    'connector.class': 'io.debezium.connector.oracle.OracleConnector',
    'rac.nodes': 'n1:1521, n2:1521',
    'archive.destination.name': 'LOG_ARCHIVE_DEST_2',
    'log.mining.session.max.ms': '3600000',
    'log.mining.restart.connection': 'true',
    'log.mining.batch.size.max': '200000',
  });
  expect(oracle.notes).toEqual([]);
  expect(oracle.settings['source']).toMatchObject({
    oracle: {
      rac_nodes: ['n1:1521', 'n2:1521'],
      archive_destinations: ['LOG_ARCHIVE_DEST_2'],
      session_time: '3600000ms',
      session_reconnect: true,
      max_window: 200_000,
    },
  });
  const mysql = {
    'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
    'include.query': 'true',
    'include.schema.changes': 'false',
    'bigint.unsigned.handling.mode': 'long',
  };
  expect(imported(mysql).notes).toEqual([]);
  expect(await loaded(mysql)).toMatchObject({
    source: { mysql: { includeQuery: true, unsignedOverflow: 'wrap' } },
    emit: { schemaChanges: false },
  });
});
