/** Secrets are planted wherever the settings take one, and looked for in everything that Headwater puts out. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/servers.ts';
import { type Finished, Headwater, headwater, type Workspace, workspace } from './headwater.ts';

const run = promisify(execFile);

/** With signs that URLs, JSON and shells write differently. */
const SECRETS = {
  database: 'pl4nted/database+p%ss',
  http: 'pl4nted-http-"token"',
  sasl: 'pl4nted$sasl&password',
  registry: 'pl4nted:registry@password',
  hash: 'pl4nted-hash-key',
} as const;

const FORMS = Object.values(SECRETS).flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
]);

let files: Workspace;
let server: PostgresServer;

beforeAll(async () => {
  files = await workspace();
  server = await startPostgres({ version: 18, password: SECRETS.database });
  await server.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

interface Planted {
  readonly url: string;
  readonly password?: string;
  readonly emit: string;
}

function settings(name: string, { url, password, emit }: Planted): string {
  return [
    `name: ${name}`,
    'source:',
    `  url: ${JSON.stringify(url)}`,
    ...(password === undefined ? [] : [`  password: ${JSON.stringify(password)}`]),
    '  tables: [public.t]',
    `  postgres: { slot: ${name} }`,
    'emit:',
    emit,
    `  hash_key: ${JSON.stringify(SECRETS.hash)}`,
    `http: { listen: "127.0.0.1:0", token: ${JSON.stringify(SECRETS.http)} }`,
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
  for (const form of FORMS) expect(output.includes(form), `${what} shows ${form}`).toBe(false);
}

const texts = ({ stdout, stderr }: Finished): string => `${stdout}\n${stderr}`;

describe.each([
  ['in the URL', () => ({ url: urlWith(SECRETS.database) })],
  ['beside it', () => ({ url: urlWith(null), password: SECRETS.database })],
])('a daemon that runs, the password %s', (place, source) => {
  test('shows none in its log, pages, command line or to the commands beside it', async () => {
    const name = place === 'beside it' ? 'beside' : 'within';
    const file = await files.write(`${name}.yaml`, settings(name, { ...source(), emit: fileSink(name) }));
    await using daemon = new Headwater(['run', '--log-level', 'debug', file]);
    const address = await daemon.address();
    const get = async (path: string, token: string = SECRETS.http): Promise<string> => {
      const response = await fetch(`${address}${path}`, { headers: { authorization: `Bearer ${token}` } });
      return `${JSON.stringify([...response.headers])}\n${await response.text()}`;
    };
    // Its log tells when a snapshot is through; a status that is asked for with the token tells all.
    await daemon.line(({ msg }) => msg === 'snapshot complete');
    for (const path of ['/', '/status', '/metrics', '/healthz?verbose', '/readyz', '/none']) {
      expectClean(path, await get(path));
      expectClean(`${path} with a wrong token`, await get(path, `${SECRETS.http}x`));
    }
    const { stdout: processes } = await run('ps', ['-eo', 'args']);
    expect(processes).toContain(file);
    expectClean(
      'ps',
      processes
        .split('\n')
        .filter((line) => line.includes(file))
        .join('\n'),
    );
    const port = new URL(address).port;
    const reached = await files.write(
      `${name}-ask.yaml`,
      (await readFile(file, 'utf8')).replace('127.0.0.1:0', `127.0.0.1:${port}`),
    );
    for (const args of [
      ['status', reached],
      ['status', '--json', reached],
      ['doctor', '--json', reached],
      ['pause', reached],
      ['resume', reached],
    ]) {
      const finished = await headwater(args);
      expect([args[0], finished.exit, finished.stderr]).toEqual([args[0], 0, '']);
      expectClean(args.join(' '), texts(finished));
    }
    expectClean('the log', texts(await daemon.stop()));
    expectClean('offsets', texts(await headwater(['offsets', 'export', file])));
    expectClean('validate', texts(await headwater(['validate', file])));
  });
});

test('a login that the database refuses shows none', async () => {
  for (const url of [urlWith(`${SECRETS.database}x`), urlWith(SECRETS.database).replace(/:\d+\//, ':1/')]) {
    const file = await files.write('refused.yaml', settings('refused', { url, emit: fileSink('out') }));
    for (const args of [
      ['run', '--log-level', 'debug', file],
      ['doctor', file],
      ['doctor', '--json', file],
    ]) {
      const finished = await headwater(args);
      expect(finished.exit).toBe(3);
      expectClean(args.join(' '), texts(finished).replaceAll(`${SECRETS.database}x`, '(the wrong one)'));
    }
  }
});

test('Kafka and a registry that refuse show none, and what they answer does neither', async () => {
  // A registry that says everything it was told: a proxy's error page does that.
  const registry = createServer((request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        error_code: 401,
        message: `no: ${JSON.stringify(request.headers)} ${SECRETS.registry}`,
      }),
    );
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  const { port } = registry.address() as AddressInfo;
  const login = `username: a, password: ${JSON.stringify(SECRETS.registry)}`;
  const sasl = `{ mechanism: PLAIN, username: a, password: ${JSON.stringify(SECRETS.sasl)} }`;
  const file = await files.write(
    'kafka.yaml',
    settings('kafka', {
      url: urlWith(SECRETS.database),
      emit: `  kafka: { brokers: ["127.0.0.1:1"], sasl: ${sasl} }\n  format: avro\n  registry: { url: "http://127.0.0.1:${port}", auth: { ${login} } }`,
    }),
  );
  for (const args of [
    ['doctor', file],
    ['doctor', '--json', file],
    ['run', '--log-level', 'debug', file],
  ]) {
    const finished = await headwater(args);
    expect(finished.exit).toBe(3);
    expectClean(args.join(' '), texts(finished));
  }
  expect((await headwater(['doctor', file])).stdout).toContain('refuses the login (401)');
  registry.closeAllConnections();
  registry.close();
});

test('settings that are wrong are told of without what they hold', async () => {
  const good = settings('wrong', {
    url: urlWith(SECRETS.database),
    password: SECRETS.database,
    emit: fileSink('out'),
  });
  for (const [what, text] of [
    ['a line that YAML cannot read', good.replace('emit:', 'emit: [')],
    ['a password that is a list', good.replace(/password: (".*")/, 'password: [$1]')],
    ['an unknown key', good.replace('hash_key', 'hash_kye')],
    ['a token in a wrong place', good.replace('http:', 'htpp:')],
    ['a port that is none', good.replace(/:\d+\//, ':x/')],
    ['another scheme', good.replace('postgres://', 'postgras://')],
  ] as const) {
    const file = await files.write('wrong.yaml', text);
    const finished = await headwater(['validate', file]);
    expect([what, finished.exit]).toEqual([what, 2]);
    expectClean(what, texts(finished));
  }
});
