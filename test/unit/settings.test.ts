import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SettingsDocument } from '../../src/settings/document.ts';
import { durationInMs, sizeInBytes } from '../../src/settings/leaves.ts';
import { isLoopback, parseListen } from '../../src/settings/listen.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { distance, nearest } from '../../src/errors/nearest.ts';
import { redact, Secret } from '../../src/settings/secret.ts';
import type { KafkaSettings, Settings } from '../../src/settings/settings.ts';
import { parseSourceUrl } from '../../src/settings/source-url.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headwater-settings-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function load(text: string, environment: Record<string, string> = {}): Promise<Settings> {
  const file = join(directory, 'shop.yaml');
  await writeFile(file, text);
  const [settings] = await loadSettings([file], environment);
  return settings!;
}

describe('the shortest file', () => {
  test('has every default', async () => {
    const settings = await load(`name: Shop.eu
source:
  url: postgres://headwater@db/shop
  tables: [public.orders]
emit:
  kafka: { brokers: [kafka:9092] }
`);
    expect(settings).toMatchObject({
      name: 'Shop.eu',
      source: {
        hosts: [{ host: 'db', port: 5432 }],
        database: 'shop',
        user: 'headwater',
        password: null,
        tls: { mode: 'disable' },
        postgres: { slot: 'headwater_shop_eu', publication: 'headwater_shop_eu', walBudgetBytes: null },
        onGap: 'resnapshot',
      },
      snapshot: { mode: 'initial', parallelism: 2, chunkRows: 100_000, walLimitBytes: 10e9 },
      emit: {
        sink: { kind: 'kafka', brokers: ['kafka:9092'], sasl: null, deadLetterTopic: 'Shop.eu.dead-letter' },
        format: 'json',
        topic: '{name}.{schema}.{table}',
        delivery: 'exactly-once',
        tombstones: true,
        heartbeatMs: null,
      },
      http: {
        listen: { host: '127.0.0.1', port: 8080 },
        explicit: false,
        token: null,
        sql: { listen: { host: '127.0.0.1', port: 8088 }, explicit: false },
        sqlChanges: 'token',
      },
      stateDir: join(directory, '.headwater'),
      shutdownTimeoutMs: 30_000,
    });
  });

  test('stdout is at least once without being asked', async () => {
    const { emit } = await load(
      'name: a\nsource: { url: "postgres://u@h/d", tables: ["s.t"] }\nemit: { stdout: {} }\n',
    );
    expect(emit).toMatchObject({ sink: { kind: 'stdout' }, delivery: 'at-least-once' });
  });
});

test.each(['null', '"null"', '~'])('zero_dates: %s is what it says', async (written) => {
  const source = `source: { url: mysql://u@db, tables: [shop.t], mysql: { zero_dates: ${written} } }`;
  const { source: read } = await load(`name: shop\n${source}\nemit: { stdout: {} }\n`);
  expect(read.mysql.zeroDates).toBe('null');
});

describe('transforms', () => {
  const file = (rest: string): string =>
    `name: a\nsource: { url: "postgres://u@h/d", tables: ["s.*"] }\n${rest}`;

  test('columns, routes, headers and the outbox', async () => {
    const settings = await load(
      file(`emit:
  file: { path: out }
  routes: [{ match: 'a\\.s\\.(t|u)', topic: a.both, key_field: from }]
  hash_key: \${env:KEY}
  skip_operations: [d]
tables:
  s.t:
    columns: { exclude: [ssn], mask: { email: hash, phone: 4, pin: null }, truncate: { notes: 200 } }
    headers: { tenant: tenant_id }
outbox: { table: s.outbox, headers: { eventType: type } }
`),
      { KEY: 'k3y' },
    );
    expect(settings.emit).toMatchObject({ skipOperations: ['d'], skipUnchanged: false });
    expect(settings.emit.hashKey?.reveal()).toBe('k3y');
    const [route] = settings.emit.routes;
    expect(route).toMatchObject({ topic: 'a.both', keyField: { name: 'from', value: null } });
    expect(route?.match.test('a.s.t')).toBe(true);
    expect(route?.match.test('xa.s.t')).toBe(false);
    expect(settings.tables.get('s.t')?.columns).toEqual({
      include: null,
      exclude: ['ssn'],
      mask: new Map<string, string | number>([
        ['email', 'hash'],
        ['phone', 4],
        ['pin', 'null'],
      ]),
      truncate: new Map([['notes', 200]]),
      rename: new Map(),
    });
    expect(settings.outbox).toMatchObject({
      topic: 'outbox.event.{route}',
      key: 'aggregateid',
      timestamp: null,
    });
  });
});

describe('references', () => {
  const file = (password: string, rest = ''): string =>
    `name: a\nsource:\n  url: postgres://u@h/d\n  password: ${password}\n  tables: [s.t]\nemit:\n  kafka:\n    brokers: [k:1]\n${rest}`;

  test('from a file beside the settings, without its last newline', async () => {
    await writeFile(join(directory, 'secret'), 'p w \n');
    const { source } = await load(file('${file:secret}'));
    expect(source.password?.reveal()).toBe('p w ');
  });

  test('within text, several, and a literal one', async () => {
    const { source } = await load(file("'a${env:X}-${env:Y}$${env:Z}'"), { X: '1', Y: '2' });
    expect(source.password?.reveal()).toBe('a1-2${env:Z}');
  });

  test('never become structure', async () => {
    const { source } = await load(file('${env:X}'), { X: 'x\nname: other\nemit: { stdout: {} } # ${env:Y}' });
    expect(source.password?.reveal()).toBe('x\nname: other\nemit: { stdout: {} } # ${env:Y}');
  });

  test('give numbers and flags where these are wanted', async () => {
    const { emit } = await load(file('x', '    topics: { partitions: "${env:P}", create: "${env:C}" }\n'), {
      P: '12',
      C: 'false',
    });
    expect((emit.sink as KafkaSettings).topics).toMatchObject({ partitions: 12, create: false });
  });
});

describe('secrets', () => {
  test('turn into a mask wherever they turn into text', () => {
    const secret = new Secret('tr0ub4dor&3');
    expect([String(secret), JSON.stringify({ secret }), inspect({ secret })].join()).not.toContain(
      'tr0ub4dor',
    );
    expect(secret.reveal()).toBe('tr0ub4dor&3');
  });

  test('are masked in text, also encoded', () => {
    const value = new Secret('correct "horse" battery').reveal();
    const text = `${value} ${encodeURIComponent(value)} ${JSON.stringify({ value })}`;
    expect(redact(text)).toBe('[secret] [secret] {"value":"[secret]"}');
  });

  test('short ones only where they stand alone', () => {
    const value = new Secret('gres').reveal();
    expect(redact(`password=${value} of postgres`)).toBe('password=[secret] of postgres');
  });

  test('a whole Settings with secrets everywhere shows none of them', async () => {
    const environment = { A: 'planted-secret-a', B: 'planted-secret-b', C: 'planted-secret-c' };
    const settings = await load(
      `name: a
source: { url: "postgres://u:\${env:A}@h/d", tables: ["s.t"] }
emit: { kafka: { brokers: ["k:1"], sasl: { mechanism: PLAIN, username: u, password: "\${env:B}" } } }
http: { token: "\${env:C}" }
`,
      environment,
    );
    expect(settings.source.password?.reveal()).toBe('planted-secret-a');
    expect(inspect(settings, { depth: 20, showHidden: true })).not.toContain('planted-secret');
    expect(JSON.stringify(settings)).not.toContain('planted-secret');
    expect(redact('x planted-secret-b y')).toBe('x [secret] y');
  });

  test.each(['pkcs8', 'pkcs1'] as const)(
    'a locked key (%s) is opened, and goes by nothing else',
    async (type) => {
      const passphrase = 'open: "sesame"';
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const locked = privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase });
      await writeFile(join(directory, 'client.crt'), '-----BEGIN CERTIFICATE-----');
      await writeFile(join(directory, 'client.key'), locked);
      const { source } = await load(
        `name: a
source:
  url: postgres://u@h/d
  tables: [t.t]
  tls: { cert: client.crt, key: client.key, key_passphrase: '\${env:PASSPHRASE}' }
emit: { stdout: {} }
`,
        { PASSPHRASE: passphrase },
      );
      const key = source.tls.key!.reveal();
      expect(createPrivateKey(key).equals(privateKey)).toBe(true);
      expect(redact(`no ${passphrase} and no ${key.split('\n')[3]!}`)).toBe('no [secret] and no [secret]');
    },
  );

  test('no error quotes what stands in the file or behind a reference', async () => {
    const planted = 'planted-s3cret';
    const texts = [
      `name: a\nsource: { url: "postgres://u:${planted}@h:port/d", tables: ["s.t"] }\n`,
      `name: a\nsource: { url: "${planted}", password: ["${planted}"], tables: "${planted}" }\nemit: ${planted}\n`,
      `name: \${env:X}\nsource: { url: \${env:X} }\nemit: { format: "\${env:X}", heartbeat: "\${env:X}" }\n`,
      `password: "${planted}\n  x: [${planted}\n`,
      `password: @${planted}\n`,
      `a: &x ${planted}\nb: *${planted}\n`,
    ];
    for (const text of texts) {
      const thrown: unknown = await load(text, { X: planted }).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(Error);
      const errors = thrown instanceof AggregateError ? (thrown.errors as Error[]) : [thrown as Error];
      expect(errors.map(({ message }) => message).join('\n')).not.toContain(planted);
    }
  });
});

describe('source URLs', () => {
  test('several hosts, percent-encoding and parameters', () => {
    expect(
      parseSourceUrl('postgresql://us%40er:p%2Fw@a,[::1]:6000/my%20db?sslmode=require&connect_timeout=3'),
    ).toEqual({
      connector: 'postgresql',
      hosts: [
        { host: 'a', port: 5432 },
        { host: '::1', port: 6000 },
      ],
      database: 'my db',
      user: 'us@er',
      password: 'p/w',
      tlsMode: 'require',
      connectTimeoutMs: 3000,
    });
    expect(parseSourceUrl('mysql://u@a,b:3307')).toMatchObject({
      connector: 'mysql',
      hosts: [
        { host: 'a', port: 3306 },
        { host: 'b', port: 3307 },
      ],
      database: null,
    });
  });

  test('MySQL needs no database', () => {
    expect(parseSourceUrl('mysql://root@db')).toMatchObject({
      connector: 'mysql',
      hosts: [{ host: 'db', port: 3306 }],
      database: null,
    });
    expect(parseSourceUrl('mariadb://root@db:3307/shop')).toMatchObject({
      connector: 'mariadb',
      hosts: [{ host: 'db', port: 3307 }],
      database: 'shop',
    });
  });

  test('a socket directory', () => {
    expect(parseSourceUrl('postgres://u@/d?host=/var/run/postgresql')).toMatchObject({
      hosts: [{ host: '/var/run/postgresql', port: 5432 }],
    });
  });

  test('whatever is read in has usable parts, whatever is not has a sentence without it', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^postgres:\/\/[a-z%:@/,\d?=&[\]]{0,40}$/), fc.webUrl()),
        (text) => {
          const parsed = parseSourceUrl(text);
          if (typeof parsed === 'string') return parsed.length > 10;
          return parsed.hosts.length > 0 && parsed.user !== '' && parsed.database !== '';
        },
      ),
    );
  });
});

describe('parts', () => {
  test.each([
    ['512', NaN],
    ['1.5KB', 1500],
    ['20GB', 20e9],
    ['64 MiB', 67_108_864],
    [7, 7],
  ])('size %s', (text, bytes) => {
    expect(sizeInBytes(text)).toBe(bytes);
  });

  test.each([
    ['500ms', 500],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['10', NaN],
  ])('duration %s', (text, ms) => {
    expect(durationInMs(text)).toBe(ms);
  });

  test.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    [':80', { host: '0.0.0.0', port: 80 }],
    ['::1:80', null],
    ['host:65536', null],
    ['host', null],
  ])('address %s', (text, address) => {
    expect(parseListen(text)).toEqual(address);
  });

  test('loopback', () => {
    expect(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '10.0.0.1', '127.0.0.1.example.com', '::'].some(isLoopback)).toBe(false);
  });

  test('distance is a metric, and nearest finds slips', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
        expect(distance(a, b)).toBe(distance(b, a));
        expect(distance(a, b) === 0).toBe(a === b);
      }),
    );
    expect(nearest('pubication', ['slot', 'publication'])).toBe('publication');
    expect(nearest('walBudget', ['wal_budget', 'slot'])).toBe('wal_budget');
    expect(nearest('banana', ['slot', 'publication'])).toBeNull();
  });
});

test('any text is settings or a list of errors with a line, and never anything else', async () => {
  const good =
    'name: a\nsource:\n  url: postgres://u@h/d\n  tables: [s.t]\nemit:\n  kafka: { brokers: [k:1] }\n';
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: fc.constantFrom(...Array.from(' \n\t:-[]{}&*!|>\'"%@`,#?$ab1')) }),
        fc.nat(good.length).map((end) => good.slice(0, end)),
        fc
          .tuple(fc.nat(good.length), fc.string({ maxLength: 6 }))
          .map(([at, text]) => good.slice(0, at) + text + good.slice(at)),
      ),
      async (text) => {
        const document = new SettingsDocument('f.yaml', text);
        if (!document.wellFormed) {
          expect(document.errors().length).toBeGreaterThan(0);
          return;
        }
        const thrown: unknown = await load(text).then(
          () => null,
          (error: unknown) => error,
        );
        const errors =
          thrown instanceof AggregateError ? (thrown.errors as unknown[]) : thrown === null ? [] : [thrown];
        for (const error of errors)
          expect(error).toMatchObject({ code: expect.stringMatching(/^settings\./) as unknown });
      },
    ),
    { numRuns: 300 },
  );
});
