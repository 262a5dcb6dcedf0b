/**
 * Secrets are planted wherever the settings take one, and looked for in everything that Headwater puts out: its log, its
 * pages, its metrics, what commands print, the process list, and the files that it keeps.
 */
import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/local-servers/processes.ts';
import { startSaslBroker } from '../support/sasl-broker.ts';
import { startPostgres, type PostgresServer } from '../support/servers.ts';
import { type Finished, Headwater, headwater, type Workspace, workspace } from './headwater.ts';

const run = promisify(execFile);

/** With signs that URLs, JSON and shells write differently. */
const SECRETS = {
  database: 'pl4nted/database+p%ss',
  passphrase: 'pl4nted; "key" passphrase',
  http: 'pl4nted-http-"token"',
  sasl: 'pl4nted$sasl&password',
  registry: 'pl4nted:registry@password',
  hash: 'pl4nted-hash-key',
  collector: 'pl4nted-collector-token',
} as const;
type Name = keyof typeof SECRETS;

const FORMS = Object.values(SECRETS).flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  // As basic authentication and SASL have it.
  Buffer.from(`a:${secret}`).toString('base64').replace(/=+$/, ''),
  Buffer.from(`\0a\0${secret}`).toString('base64').replace(/=+$/, ''),
]);

let files: Workspace;
let server: PostgresServer;
/** What opens the client's certificate: lines of it are secrets too. */
let key: readonly string[] = [];
/** It says everything that it is told: a proxy's error page does that. */
let echo: Server;

beforeAll(async () => {
  files = await workspace();
  server = await startPostgres({ version: 18, password: SECRETS.database, tls: true });
  await server.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  const { ca, clientCert, clientKey } = server.certificates!;
  const open = createPrivateKey(await readFile(clientKey));
  const locked = open.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: SECRETS.passphrase,
  });
  key = open.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n').slice(1, 4);
  await files.write('client.key', locked.toString());
  await files.write('client.crt', await readFile(clientCert, 'utf8'));
  await files.write('ca.crt', await readFile(ca, 'utf8'));
  for (const [name, secret] of Object.entries(SECRETS)) await files.write(`${name}.secret`, `${secret}\n`);
  echo = createServer((request, response) => {
    request.resume();
    response.writeHead(401, { 'content-type': 'application/json' });
    const message = `no: ${JSON.stringify(request.headers)} ${SECRETS.registry}`;
    response.end(JSON.stringify({ error_code: 401, message }));
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  echo?.closeAllConnections();
  echo?.close();
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

const echoPort = (): number => (echo.address() as AddressInfo).port;

/** How the settings come to a secret: YAML. */
type Planting = (name: Name) => string;
const asText: Planting = (name) => JSON.stringify(SECRETS[name]);
const fromFile: Planting = (name) => JSON.stringify(`\${file:${files.path(`${name}.secret`)}}`);
const fromEnvironment: Planting = (name) => JSON.stringify(`\${env:PLANTED_${name.toUpperCase()}}`);
const ENVIRONMENT = Object.fromEntries(
  Object.entries(SECRETS).map(([name, secret]) => [`PLANTED_${name.toUpperCase()}`, secret]),
);

interface Planted {
  readonly url: string;
  readonly password?: string;
  readonly emit: string;
  readonly secret?: Planting;
  readonly http?: string;
  readonly more?: readonly string[];
}

function settings(name: string, planted: Planted): string {
  const { url, password, emit, secret = asText, http = '127.0.0.1:0', more = [] } = planted;
  return [
    `name: ${name}`,
    'source:',
    `  url: ${JSON.stringify(url)}`,
    ...(password === undefined ? [] : [`  password: ${password}`]),
    '  tables: [public.t]',
    `  postgres: { slot: ${name} }`,
    `  tls: { ca: ca.crt, cert: client.crt, key: client.key, key_passphrase: ${secret('passphrase')} }`,
    'emit:',
    emit,
    `  hash_key: ${secret('hash')}`,
    `http: { listen: ${JSON.stringify(http)}, token: ${secret('http')} }`,
    ...more,
    '',
  ].join('\n');
}

const fileSink = (name: string): string => `  file: { path: ${JSON.stringify(files.path(name))} }`;

function urlWith(password: string | null): string {
  const url = new URL(server.url);
  url.password = password === null ? '' : encodeURIComponent(password);
  return url.href;
}

function expectClean(what: string, output: string): void {
  for (const form of [...FORMS, ...key]) expect(output.includes(form), `${what} shows ${form}`).toBe(false);
}

const texts = ({ stdout, stderr }: Finished): string => `${stdout}\n${stderr}`;

/** All that a directory holds. */
async function contents(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(found, dir).not.toEqual([]);
  return (await Promise.all(found.map((file) => readFile(file, 'latin1')))).join('\n');
}

/** The command lines of a process and of those it has started. */
async function commandLines(pid: number): Promise<string> {
  const { stdout } = await run('ps', ['-eo', 'pid=,ppid=,args=']);
  const lines = stdout.split('\n').filter((line) => line.trim().split(/\s+/, 2).includes(String(pid)));
  expect(lines).not.toEqual([]);
  return lines.join('\n');
}

const SOURCES = [
  ['in the URL', () => ({ url: urlWith(SECRETS.database) })],
  ['beside it', () => ({ url: urlWith(null), password: asText('database') })],
  ['in a file', () => ({ url: urlWith(null), password: fromFile('database'), secret: fromFile })],
  [
    'in the environment',
    () => ({ url: urlWith(null), password: fromEnvironment('database'), secret: fromEnvironment }),
  ],
] as const satisfies readonly (readonly [string, () => Omit<Planted, 'emit'>])[];

describe.each(SOURCES)('a daemon that runs, the password %s', (place, source) => {
  test('shows none in its log, pages, command line, files or to the commands beside it', async () => {
    const name = place.replaceAll(' ', '_').toLowerCase();
    const [http, sql] = [await freePort(), await freePort()];
    const more = [
      `state: { dir: ${JSON.stringify(files.path(`${name}-state`))} }`,
      'enrich:',
      '  sql:',
      '    - |',
      `      CREATE STREAM given WITH (CDC_TABLE = '${name}.public.t');`,
      '      CREATE TABLE many AS SELECT id, COUNT(*) AS n FROM given GROUP BY id;',
    ];
    const text = settings(name, { ...source(), emit: fileSink(name), http: `127.0.0.1:${http}`, more });
    const file = await files.write(
      `${name}.yaml`,
      text.replace(/^http: \{/m, `http: { sql: "127.0.0.1:${sql}",`),
    );
    const environment = {
      ...(place === 'in the environment' ? ENVIRONMENT : {}),
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${echoPort()}`,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${SECRETS.collector}`,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    };
    await using daemon = new Headwater(['run', '--log-level', 'debug', file], environment);
    const address = await daemon.address();
    const ask = async (
      url: string,
      init: RequestInit = {},
      token: string = SECRETS.http,
    ): Promise<string> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const response = await fetch(url, { headers, ...init });
      return `${JSON.stringify([...response.headers])}\n${await response.text()}`;
    };
    // Its log tells when a snapshot is through; a status that is asked for with the token tells all.
    await daemon.line(({ msg }) => msg === 'snapshot complete');
    const commands = async (...lines: readonly (readonly string[])[]): Promise<void> => {
      for (const args of lines) {
        const finished = await headwater(args, place === 'in the environment' ? ENVIRONMENT : {});
        expect([args[0], finished.exit, finished.stderr]).toEqual([args[0], 0, '']);
        expectClean(args.join(' '), texts(finished));
      }
    };
    await commands(
      ['status', file],
      ['status', '--json', file],
      ['doctor', file],
      ['doctor', '--json', file],
      ['schema', 'show', file],
      ['sql', file, '-e', 'SHOW QUERIES; SHOW PROPERTIES; DESCRIBE given EXTENDED;'],
      ['pause', file, 'public.t'],
    );
    await daemon.line(({ code }) => code === 'request.table-paused');
    await daemon.line(({ msg }) => msg === 'traces could not be delivered');
    const paths = [
      '/',
      '/status',
      '/metrics',
      '/healthz?verbose',
      '/readyz',
      '/livez',
      '/none',
      '/page/page.js',
    ];
    for (const path of paths) {
      expectClean(path, await ask(`${address}${path}`));
      expectClean(`${path} with a wrong token`, await ask(`${address}${path}`, {}, `${SECRETS.http}x`));
    }
    expect(await ask(`${address}/status`)).toContain('request.table-paused');
    for (const [action, body] of [
      ['pause', '{"tables": ["public.none"]}'],
      ['pause', '{"tables": 1}'],
      ['nothing', '{}'],
      ['resume', '{'],
    ] as const) {
      const url = `${address}/admin/pipelines/${name}/${action}`;
      expectClean(`${action} ${body}`, await ask(url, { method: 'POST', body }));
    }
    const statement = (ksql: string): Promise<string> =>
      ask(`http://127.0.0.1:${sql}/ksql`, { method: 'POST', body: JSON.stringify({ ksql }) });
    expectClean('/info', await ask(`http://127.0.0.1:${sql}/info`));
    for (const ksql of ['SHOW PROPERTIES;', 'EXPLAIN SELECT * FROM many;', 'SHOW TOPICS EXTENDED;', 'CREATE'])
      expectClean(ksql, await statement(ksql));
    expectClean('ps', await commandLines(daemon.pid));
    if (place !== 'in the environment') {
      // Neither its own nor what it would hand to children, but for the one that only an environment can name.
      const own = (await readFile(`/proc/${daemon.pid}/environ`, 'utf8').catch(() => '')).split('\0');
      expectClean('its environment', own.filter((entry) => !entry.startsWith('OTEL_')).join('\n'));
    }
    await commands(['resume', file, 'public.t'], ['reload', file], ['pause', file], ['resume', file]);
    expectClean('the log', texts(await daemon.stop()));
    await commands(['offsets', 'show', file], ['offsets', 'export', file], ['validate', file]);
    expectClean('the records and the checkpoint', await contents(files.path(name)));
    expectClean('the state', await contents(files.path(`${name}-state`)));
  });
});

test('a login that the database refuses shows none', async () => {
  const wrong = `${SECRETS.database}x`;
  const nowhere = encodeURIComponent(SECRETS.database);
  for (const url of [
    urlWith(wrong),
    urlWith(SECRETS.database).replace(/:\d+\//, ':1/'),
    `mysql://a:${nowhere}@127.0.0.1:1`,
    `mariadb://a:${nowhere}@127.0.0.1:1`,
    `oracle://a:${nowhere}@127.0.0.1:1/FREE`,
  ]) {
    const text = settings('refused', { url, emit: fileSink('out') });
    const own = url.startsWith('postgres') ? text : text.replaceAll(/^ {2}(?:postgres|tls): .*\n/gm, '');
    const file = await files.write('refused.yaml', own);
    for (const args of [
      ['run', '--log-level', 'debug', file],
      ['doctor', '--json', file],
    ]) {
      const finished = await headwater(args);
      expect([url.split(':')[0], finished.exit]).toEqual([url.split(':')[0], 3]);
      expectClean(args.join(' '), texts(finished).replaceAll(wrong, '(the wrong one)'));
    }
  }
});

test.each([
  ['PLAIN', (): string => `username: a, password: ${asText('sasl')}`],
  ['SCRAM-SHA-512', (): string => `username: a, password: ${fromFile('sasl')}`],
  ['OAUTHBEARER', (): string => `token: ${asText('sasl')}`],
  ['OAUTHBEARER', (): string => `token_file: ${JSON.stringify(files.path('sasl.secret'))}`],
])('a broker that refuses a login by %s shows none, whatever it answers', async (mechanism, login) => {
  // As far as it is told: a password, and what is made of one.
  await using broker = await startSaslBroker((said) => ({
    authBytes: Buffer.from(said),
    refusal: `no: ${said} ${Buffer.from(said).toString('base64')} ${SECRETS.sasl}`,
  }));
  const kafka = `{ brokers: ["${broker.address}"], sasl: { mechanism: ${mechanism}, ${login()} } }`;
  const url = urlWith(SECRETS.database);
  const file = await files.write('sasl.yaml', settings('sasl', { url, emit: `  kafka: ${kafka}` }));
  for (const args of [
    ['doctor', '--json', file],
    ['dlq', 'list', file],
    ['run', '--log-level', 'debug', file],
  ]) {
    const finished = await headwater(args);
    expect([args[0], finished.exit]).toEqual([args[0], 3]);
    expectClean(args.join(' '), texts(finished));
  }
  expect(broker.heard.length).toBeGreaterThan(0);
});

test.each([
  ['a password', (): string => `username: a, password: ${asText('registry')}`],
  ['a token', (): string => `token: ${fromFile('registry')}`],
  ['a file with one', (): string => `token_file: ${JSON.stringify(files.path('registry.secret'))}`],
])('a registry that refuses %s shows none, whatever it answers', async (_what, login) => {
  const registry = `{ url: "http://127.0.0.1:${echoPort()}", auth: { ${login()} } }`;
  const file = await files.write(
    'registry.yaml',
    settings('registry', {
      url: urlWith(SECRETS.database),
      emit: `  kafka: { brokers: ["127.0.0.1:1"] }\n  format: avro\n  registry: ${registry}`,
    }),
  );
  for (const args of [
    ['doctor', file],
    ['run', '--log-level', 'debug', file],
  ]) {
    const finished = await headwater(args);
    expect(finished.exit).toBe(3);
    expectClean(args.join(' '), texts(finished));
    if (args[0] === 'doctor') expect(finished.stdout).toContain('refuses the login (401)');
  }
});

test('settings that are wrong are told of without what they hold', async () => {
  const good = settings('wrong', {
    url: urlWith(SECRETS.database),
    password: asText('database'),
    emit: fileSink('out'),
  });
  for (const [what, text] of [
    ['a line that YAML cannot read', good.replace('emit:', 'emit: [')],
    ['a password that is a list', good.replace(/password: (".*")/, 'password: [$1]')],
    ['an unknown key', good.replace('hash_key', 'hash_kye')],
    ['a token in a wrong place', good.replace('http:', 'htpp:')],
    ['a port that is none', good.replace(/:\d+\//, ':x/')],
    ['a passphrase that opens nothing', good.replace(/key_passphrase: "/, 'key_passphrase: "x')],
    ['a key that is none', good.replace('key: client.key', 'key: ca.crt')],
    ['another scheme', good.replace('postgres://', 'postgras://')],
  ] as const) {
    const file = await files.write('wrong.yaml', text);
    const finished = await headwater(['validate', file]);
    expect([what, finished.exit]).toEqual([what, 2]);
    expectClean(what, texts(finished));
  }
});
