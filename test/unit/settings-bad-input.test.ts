import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Code } from '../../src/errors/catalogue.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { loadSettings } from '../../src/settings/load.ts';

const GOOD = `name: shop
source:
  url: postgres://headwater@db:5432/shop
  tables: [public.orders]
emit:
  kafka: { brokers: [kafka:9092] }
`;

interface Bad {
  readonly what: string;
  readonly yaml: string;
  readonly line: number;
  readonly says: string;
  readonly code?: Code;
}

/** GOOD with one line replaced, or lines added at its end. */
const change = (from: string, to: string): string => {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, to);
};

/** GOOD with a client certificate, whose key is locked. */
function withKey(rest: (key: string) => string): string {
  const lock = { cipher: 'aes-256-cbc', passphrase: 'open sesame' };
  const { privateKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', ...lock },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const cert = JSON.stringify('-----BEGIN CERTIFICATE-----');
  return change('emit:', `  tls: { cert: ${cert}, ${rest(JSON.stringify(privateKey))} }\nemit:`);
}

const BAD: readonly Bad[] = [
  { what: 'an empty file', yaml: '', line: 1, says: 'the file must be a block of keys, not empty' },
  { what: 'a list', yaml: '- a\n', line: 1, says: 'the file must be a block of keys, not a list' },
  {
    what: 'a misspelt key',
    yaml: change('tables:', 'tabels:'),
    line: 4,
    says: 'unknown key source.tabels; did you mean source.tables?',
  },
  {
    what: 'a key in the wrong place',
    yaml: `${GOOD}  brokers: [a:1]\n`,
    line: 7,
    says: 'unknown key emit.brokers; did you mean emit.kafka.brokers?',
  },
  ...(
    [
      ['postgres', 'mysql', 'PostgreSQL', '{ slot: a }'],
      ['oracle', 'mysql', 'Oracle', '{}'],
      ['mysql', 'postgres', 'MySQL and MariaDB', '{ server_id: 7 }'],
    ] as const
  ).map(([block, scheme, of, value]) => ({
    what: `${block} with ${scheme}://`,
    yaml: GOOD.replace('postgres://', `${scheme}://`).replace('emit:', `  ${block}: ${value}\nemit:`),
    line: 5,
    says: `source.${block} is for ${of} alone, and source.url names another database; remove the block, or say under source.${scheme} what that one needs`,
  })),
  {
    what: 'a key unlike any other',
    yaml: `${GOOD}zzzzzz: 1\n`,
    line: 7,
    says: 'unknown key zzzzzz; known here: name, source, snapshot, emit, tables, outbox, enrich, http, state, shutdown',
  },
  {
    what: 'a key of a table that is misspelt',
    yaml: `${GOOD}tables:\n  public.orders:\n    keys: [id]\n`,
    line: 9,
    says: 'unknown key tables["public.orders"].keys; did you mean tables["public.orders"].key?',
  },
  {
    what: 'columns that are both chosen and left out',
    yaml: `${GOOD}tables:\n  public.orders:\n    columns: { include: [id], exclude: [ssn] }\n`,
    line: 9,
    says: 'include and exclude of columns cannot stand together; keep one',
  },
  {
    what: 'a mask that is none',
    yaml: `${GOOD}tables:\n  public.orders:\n    columns:\n      mask: { ssn: md5 }\n`,
    line: 10,
    says: 'tables["public.orders"].columns.mask.ssn must be hash, null or a number of asterisks from 1 to 1000, not text',
  },
  {
    what: 'a route that is no regular expression',
    yaml: `${GOOD}  routes:\n    - { match: '(', topic: all }\n`,
    line: 8,
    says: 'the match of this route is not a regular expression',
  },
  {
    what: 'unwrapped settings of whole envelopes',
    yaml: `${GOOD}  unwrapped: { deletes: drop }\n`,
    line: 7,
    says: 'emit.unwrapped needs emit.envelope: unwrapped',
  },
  {
    what: 'another source',
    yaml: change('postgres://headwater@db:5432', 'mongodb://headwater@db'),
    line: 3,
    says: 'source.url has to begin with postgres://, mysql://, mariadb:// or oracle://',
  },
  {
    what: 'Oracle without a service',
    yaml: change('postgres://headwater@db:5432/shop', 'oracle://headwater@db'),
    line: 3,
    says: 'source.url names no service; write oracle://user@host:1521/service',
  },
  {
    what: 'Oracle with encryption that checks nothing',
    yaml: change('postgres://headwater@db:5432/shop', 'oracle://headwater@db/shop?sslmode=require'),
    line: 3,
    says: 'require encrypts without checking who answers, which Oracle’s driver does not do; use verify-ca or verify-full, with source.tls.ca',
  },
  {
    what: 'Oracle with a certificate and no authority',
    yaml: withKey((key) => `key: ${key}, key_passphrase: open sesame`).replace(
      'postgres://headwater@db:5432/shop',
      'oracle://headwater@db/shop',
    ),
    line: 5,
    says: 'Oracle’s driver trusts nobody else’s servers where it has a certificate of its own: with source.tls.cert set source.tls.ca too',
  },
  {
    what: 'a strategy of other readers',
    yaml: GOOD.replace('emit:', '  oracle: { strategy: catalog_in_redo }\nemit:'),
    line: 5,
    says: 'source.oracle.strategy must be hybrid, online_catalog or redo_log_catalog',
  },
  {
    what: 'a file of statements that is not there',
    yaml: `${GOOD}enrich:\n  sql: [a.sql]\n`,
    line: 8,
    says: 'enrich.sql[0]: a.sql: there is no such file',
  },
  {
    what: 'a format that needs a registry, without one',
    yaml: `${GOOD}  format: avro\n`,
    line: 7,
    says: 'emit.format avro needs emit.registry with a url',
  },
  {
    what: 'a registry for a format that has none',
    yaml: `${GOOD}  registry: { url: 'http://r:8081' }\n`,
    line: 7,
    says: 'emit.registry is for the formats avro, protobuf and json-schema, and for statements of enrich.sql; emit.format is json',
  },
  {
    what: 'a password in the registry’s URL',
    yaml: `${GOOD}  format: avro\n  registry: { url: 'http://me:hunter2@r:8081' }\n`,
    line: 8,
    says: 'emit.registry.url holds a user or password; they stand in emit.registry.auth',
  },
  {
    what: 'half a login at the registry',
    yaml: `${GOOD}  format: avro\n  registry: { url: 'http://r:8081', auth: { username: me } }\n`,
    line: 8,
    says: 'emit.registry.auth takes username and password, or one of token and token_file',
  },
  {
    what: 'polling by a time without its column',
    yaml: change('emit:', '  poll: { tables: { public.t: { mode: timestamp } } }\nemit:'),
    line: 5,
    says: 'source.poll.tables.public.t is polled by timestamp and names no timestamp',
  },
  {
    what: 'a sweep without keys to compare',
    yaml: change('emit:', '  poll: { tables: { public.t: { delete_sweep: 1h, remember: overlap } } }\nemit:'),
    line: 5,
    says: 'source.poll.tables.public.t has a delete_sweep, which needs remember: keys or rows',
  },
  {
    what: 'a time zone that is none',
    yaml: change('emit:', '  poll: { time_zone: Berlin }\nemit:'),
    line: 5,
    says: 'source.poll.time_zone has to be the name of a time zone such as Europe/Berlin or UTC',
  },
  {
    what: 'a former Debezium snapshot mode',
    yaml: `${GOOD}snapshot: { mode: never }\n`,
    line: 7,
    says: 'snapshot.mode must be initial, initial_only, no_data, when_needed or always; Debezium’s never is no_data',
  },
  {
    what: 'a URL without user',
    yaml: change('headwater@', ''),
    line: 3,
    says: 'source.url names no user; write postgres://user@host:5432/database',
  },
  {
    what: 'a URL without database',
    yaml: change('5432/shop', '5432'),
    line: 3,
    says: 'source.url names no database; write postgres://user@host:5432/database',
  },
  {
    what: 'a URL with an impossible port',
    yaml: change('5432', '65536'),
    line: 3,
    says: 'source.url has a port that is not between 1 and 65535',
  },
  {
    what: 'a number for text',
    yaml: change('name: shop', 'name: 5'),
    line: 1,
    says: 'name must be letters, digits, dots, hyphens and underscores, at most 100, beginning with a letter or digit, not a number',
  },
  {
    what: 'an empty list',
    yaml: change('[public.orders]', '[]'),
    line: 4,
    says: 'source.tables must be a list of patterns such as [public.orders, sales.*]',
  },
  {
    what: 'only exclusions',
    yaml: change('[public.orders]', '["!public.orders"]'),
    line: 4,
    says: 'source.tables only excludes; begin with what is to be captured, such as public.*',
  },
  {
    what: 'a pattern that is no regular expression',
    yaml: change('[public.orders]', '["/pub(lic/"]'),
    line: 4,
    says: 'source.tables[0] is not a regular expression',
  },
  {
    what: 'a table without schema',
    yaml: change('[public.orders]', '[orders]'),
    line: 4,
    says: 'source.tables[0] has to be schema.table, such as public.orders or public.*',
  },
  {
    what: 'a missing block',
    yaml: GOOD.slice(0, GOOD.indexOf('emit:')),
    line: 1,
    says: 'emit is missing; it must be a block of keys',
  },
  {
    what: 'a block left empty',
    yaml: `${GOOD}http:\n`,
    line: 7,
    says: 'http must be a block of keys, not empty',
  },
  {
    what: 'no sink',
    yaml: change('  kafka: { brokers: [kafka:9092] }', '  tombstones: true'),
    line: 5,
    says: 'emit takes one of kafka, file and stdout; none of them is set',
  },
  {
    what: 'two sinks',
    yaml: `${GOOD}  stdout: {}\n`,
    line: 5,
    says: 'emit takes one of kafka, file and stdout; kafka and stdout are set',
  },
  {
    what: 'a broker without port',
    yaml: change('kafka:9092', 'kafka'),
    line: 6,
    says: 'emit.kafka.brokers[0] must be host:port',
  },
  {
    what: 'a size without unit',
    yaml: change('emit:', '  postgres: { wal_budget: 20 gigs }\nemit:'),
    line: 5,
    says: 'source.postgres.wal_budget must be a size such as 512MB or 20GB',
  },
  {
    what: 'a duration without unit',
    yaml: `${GOOD}shutdown: { timeout: 30 }\n`,
    line: 7,
    says: 'shutdown.timeout must be a duration of at least 100 ms with its unit, such as 500ms, 10s, 5m or 1h, not a number',
  },
  {
    what: 'a number out of range',
    yaml: `${GOOD}snapshot:\n  parallelism: 0\n`,
    line: 8,
    says: 'snapshot.parallelism must be a whole number from 1 to 64',
  },
  {
    what: 'text for true or false',
    yaml: `${GOOD}  tombstones: 'yes'\n`,
    line: 7,
    says: 'emit.tombstones must be true or false, not text',
  },
  {
    what: 'exactly once to stdout',
    yaml: change('kafka: { brokers: [kafka:9092] }', 'stdout: {}\n  delivery: exactly-once'),
    line: 7,
    says: 'emit.delivery cannot be exactly-once with stdout, which keeps nothing; write at-least-once',
  },
  {
    what: 'an unknown placeholder',
    yaml: `${GOOD}  topic: '{db}.{table}'\n`,
    line: 7,
    says: 'emit.topic has a placeholder other than {name}, {schema} and {table}',
  },
  {
    what: 'SASL without password',
    yaml: change('[kafka:9092] }', '[kafka:9092], sasl: { mechanism: PLAIN, username: u } }'),
    line: 6,
    says: 'emit.kafka.sasl with PLAIN needs username and password',
  },
  {
    what: 'SASL with what belongs to another mechanism',
    yaml: change('[kafka:9092] }', '[kafka:9092], sasl: { mechanism: PLAIN, token: t } }'),
    line: 6,
    says: 'emit.kafka.sasl with PLAIN takes username and password, not a token',
  },
  {
    what: 'a certificate file that does not exist',
    yaml: change('emit:', '  tls: { ca: nowhere.pem }\nemit:'),
    line: 5,
    says: 'the file of source.tls.ca cannot be used: there is no such file',
  },
  {
    what: 'a locked key without its passphrase',
    yaml: withKey((key) => `key: ${key}`),
    line: 5,
    says: 'the key in source.tls.key is encrypted, and source.tls.key_passphrase is not set',
  },
  {
    what: 'a passphrase that does not fit',
    yaml: withKey((key) => `key: ${key}, key_passphrase: pl4nted`),
    line: 5,
    says: 'source.tls.key_passphrase does not open the key in source.tls.key',
  },
  {
    what: 'a key that is none',
    yaml: withKey((key) => `key: ${key.replaceAll('ENCRYPTED ', '')}`),
    line: 5,
    says: 'the file of source.tls.key holds no private key that can be read',
  },
  {
    what: 'a passphrase for nothing',
    yaml: change('emit:', '  tls: { key_passphrase: pl4nted }\nemit:'),
    line: 5,
    says: 'source.tls.key_passphrase has no key to open: set source.tls.key too',
  },
  {
    what: 'sslmode and a tls block',
    yaml: change('/shop\n', '/shop?sslmode=require\n  tls: { mode: require }\n'),
    line: 4,
    says: 'source.url has an sslmode and there is a source.tls block too; keep one of them',
  },
  {
    what: 'two passwords',
    yaml: change('headwater@', 'headwater:p1@').replace('emit:', '  password: p2\nemit:'),
    line: 5,
    says: 'source.url holds a password and source.password is set too; keep one of them',
  },
  {
    what: 'listening for others without a token',
    yaml: `${GOOD}http: { listen: '0.0.0.0:8080' }\n`,
    line: 7,
    says: 'http.listen can be reached from other machines, and http.token is not set',
  },
  {
    what: 'an address that is none',
    yaml: `${GOOD}http: { listen: '8080' }\n`,
    line: 7,
    says: 'http.listen has to be host:port such as 127.0.0.1:8080, or off',
  },
  {
    what: 'a variable that is not set',
    yaml: change('emit:', '  password: ${env:HEADWATER_TEST_UNSET}\nemit:'),
    line: 5,
    says: 'source.password: ${env:HEADWATER_TEST_UNSET} has nothing behind it: the variable is not set',
    code: 'settings.secret-missing',
  },
  {
    what: 'a secret file that does not exist',
    yaml: change('emit:', '  password: ${file:nowhere/secret}\nemit:'),
    line: 5,
    says: 'source.password: ${file:nowhere/secret} has nothing behind it: there is no such file',
    code: 'settings.secret-missing',
  },
  {
    what: 'a reference of an unknown kind',
    yaml: change('emit:', '  password: ${vault:x}\nemit:'),
    line: 5,
    says: 'source.password holds a reference that is neither ${env:NAME} nor ${file:PATH}; write $${ for a literal ${',
  },
  {
    what: 'a key twice',
    yaml: `${GOOD}name: again\n`,
    line: 7,
    says: 'this key stands twice in the same block',
  },
  {
    what: 'a tab',
    yaml: 'name: shop\nsource:\n\turl: x\n',
    line: 3,
    says: 'YAML is indented with spaces, and here is a tab',
  },
  {
    what: 'an exclamation mark without quotes',
    yaml: change('[public.orders]', '[public.*, !public.log]'),
    line: 4,
    says: 'a value that begins with ! has to stand in quotes',
  },
  {
    what: 'a password that YAML takes for something else',
    yaml: change('emit:', '  password: @secret\nemit:'),
    line: 5,
    says: 'a value that begins with a sign such as @, ` or % has to stand in quotes',
  },
  {
    what: 'a bracket left open',
    yaml: change('[public.orders]', '[public.orders'),
    line: 5,
    says: 'the indentation does not fit the lines above, or a bracket there is left open',
  },
  {
    what: 'two documents',
    yaml: `${GOOD}---\n${GOOD}`,
    line: 7,
    says: 'one file holds one pipeline: a second document begins here',
  },
];

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headwater-settings-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function errorsIn(texts: readonly string[]): Promise<readonly HeadwaterError[]> {
  const files = await Promise.all(
    texts.map(async (text, index) => {
      const file = join(directory, `${index}.yaml`);
      await writeFile(file, text);
      return file;
    }),
  );
  try {
    await loadSettings(files, {});
  } catch (thrown) {
    const errors: unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown];
    expect(errors.every((error) => error instanceof HeadwaterError)).toBe(true);
    return errors as HeadwaterError[];
  }
  return [];
}

describe('bad settings get one clear sentence with file and line', () => {
  test('and good ones none', async () => {
    expect(await errorsIn([GOOD])).toEqual([]);
  });

  test.each(BAD)('$what', async ({ yaml, line, says, code = 'settings.invalid' }) => {
    const errors = await errorsIn([yaml]);
    expect(errors.map(({ message }) => message)).toEqual([`${join(directory, '0.yaml')}:${line}: ${says}`]);
    expect(errors[0]).toMatchObject({ code, details: { line } });
    expect(errors[0]!.entry.exit).toBe(2);
  });

  test('all that is wrong is said at once, in the order of the lines', async () => {
    const errors = await errorsIn([
      `nam: shop\n${GOOD.replace('tables:', 'tabels:')}snapshot: { mode: x }\n`,
    ]);
    expect(errors.map(({ details }) => details.line)).toEqual([1, 5, 8]);
  });

  test('a file that is not there', async () => {
    const [error] = await loadSettings([join(directory, 'none.yaml')], {}).then(
      () => [],
      (thrown: unknown) => [thrown as HeadwaterError],
    );
    expect(error?.code).toBe('settings.file-unreadable');
    expect(error?.message).toBe(`${join(directory, 'none.yaml')}: there is no such file`);
  });
});

describe('files that cannot run in one process', () => {
  const other = GOOD.replace('name: shop', 'name: crm');

  test('one name', async () => {
    const [error, ...more] = await errorsIn([GOOD, GOOD]);
    expect(more).toEqual([]);
    expect(error).toMatchObject({ code: 'settings.duplicate-name', details: { line: 1 } });
    expect(error!.message).toContain(`the name shop is also that of ${join(directory, '0.yaml')}`);
  });

  test('one slot', async () => {
    const [error] = await errorsIn([
      GOOD,
      other.replace('emit:', '  postgres: { slot: headwater_shop }\nemit:'),
    ]);
    expect(error).toMatchObject({ code: 'settings.duplicate-name', details: { line: 5 } });
  });

  test('differing http blocks', async () => {
    const http = (port: number): string => `http: { listen: '127.0.0.1:${port}' }\n`;
    expect(await errorsIn([GOOD + http(1), other + http(1)])).toEqual([]);
    expect(await errorsIn([GOOD + http(1), other])).toEqual([]);
    const [error] = await errorsIn([GOOD + http(1), other + http(2)]);
    expect(error).toMatchObject({ code: 'settings.duplicate-name', details: { line: 7 } });
  });
});
