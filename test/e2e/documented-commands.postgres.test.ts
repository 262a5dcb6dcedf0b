/**
 * Each command of Headwater that the documentation shows with what it is about is typed into a shell, beside a daemon on
 * a real PostgreSQL, and does it. Of commands that are only named, unit/documentation.test.ts knows that they are there.
 */
import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/local-servers/processes.ts';
import {
  currentPages,
  documentation,
  headwaterCommands,
  otherCommands,
  ROOT,
} from '../support/documented-commands.ts';
import { codeBlocks } from '../support/markdown.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';

/** What stands for something, and what it stands for here. */
const PLACEHOLDERS: readonly (readonly [RegExp, string])[] = [
  [/\bCOMMAND\b/, 'status'],
  [/[[\]]/g, ''],
  [/\bFILE…?(?=\s|$)/, 'shop.yaml'],
  [/\bTABLE…?(?=\s|$)/, 'public.orders'],
  [/\bCONDITION\b/, "'id > 0'"],
  // Without a file they ask the usual port, which here may be somebody else's.
  [/^headwater sql (?=-)/, 'headwater sql shop.yaml '],
  [/\bhttp:\/\/localhost:8088\b/, 'http://127.0.0.1:$SQL_PORT'],
  [/\bhttp:\/\/HOST:8080\b/, 'http://127.0.0.1:$HTTP_PORT'],
];
/** Only named: a command, one of its actions, an option. */
const NAMED = /^headwater \w+(?: (?:set|show|schema|export|--to flink|--where))*$/;
const INPUTS: Readonly<Record<string, string>> = {
  'debezium.json': JSON.stringify({
    name: 'inventory',
    config: {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
      'database.hostname': 'db',
      'database.user': 'debezium',
      'database.dbname': 'inventory',
      'topic.prefix': 'inventory',
    },
  }),
  'questions.sql': 'SELECT * FROM orders_by_club;',
};

const PAGES = currentPages(await documentation());
const TYPED = [
  ...headwaterCommands(PAGES),
  ...otherCommands(PAGES).filter(({ line }) => /^curl .*:(?:8080|8088)\//.test(line)),
].map(({ line }) => PLACEHOLDERS.reduce((text, [pattern, here]) => text.replace(pattern, here), line));
/** Run by other tests: e2e/demo.*, and integration/flink-script.*, since that needs Kafka. */
const ELSEWHERE = /^headwater (?:demo|sql export)\b/;
const LINES = [...new Set(TYPED)].filter(
  (line) => line === 'headwater settings schema' || !(NAMED.test(line) || ELSEWHERE.test(line)),
);
/** Of what does not end by itself. */
const FIRST_WORDS = /HTTP interface is up|public\.orders/;
const endless = (line: string): boolean => /headwater (?:run|tail) /.test(line);
const idle = (line: string): boolean => /headwater (?:run|offsets set) /.test(line);

let database: TestDatabase;
let files: Workspace;
let settings: string;
let daemon: Headwater | null = null;
let env: NodeJS.ProcessEnv;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  database = await testDatabase();
  await database.query(`
    CREATE TABLE orders (id int PRIMARY KEY, club text); INSERT INTO orders VALUES (1, 'gold'), (2, 'tin');
    CREATE TABLE customers (id int PRIMARY KEY)`);
  const [http, sql] = [await freePort(), await freePort()];
  const text = pipelineFile({
    name: 'shop',
    url: database.url,
    tables: ['public.*'],
    path: files.path('records'),
    source: [`postgres: { slot: ${database.name}, publication: pub }`],
    more: [
      `state: { dir: ${JSON.stringify(files.path('state'))} }`,
      'enrich:',
      '  sql:',
      '    - |',
      "      CREATE STREAM ordered WITH (CDC_TABLE = 'shop.public.orders');",
      '      CREATE TABLE orders_by_club AS SELECT club, COUNT(*) AS orders FROM ordered GROUP BY club;',
    ],
  });
  settings = await files.write(
    'shop.yaml',
    text.replace(/^http: .*$/m, `http: { listen: 127.0.0.1:${http}, sql: "127.0.0.1:${sql}" }`),
  );
  await mkdir(files.path('bin'));
  const program = await files.write(
    'bin/headwater',
    `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'src/main.ts')} "$@"\n`,
  );
  await chmod(program, 0o755);
  env = {
    ...process.env,
    PATH: `${files.path('bin')}:${process.env['PATH']}`,
    HOME: files.dir,
    SQL_PORT: String(sql),
    HTTP_PORT: String(http),
  };
  expect((await runToEnd(settings)).exit).toBe(0);
});
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
  await database?.drop();
});

async function serve(running: boolean): Promise<void> {
  if (daemon !== null && !running) {
    await daemon.stop();
    daemon = null;
  }
  if (daemon !== null || !running) return;
  daemon = new Headwater(['run', settings]);
  await daemon.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
}

/** In a directory with the files that commands are shown with. What does not end by itself is stopped when it has begun. */
async function typed(line: string): Promise<{ readonly exit: number | null; readonly said: string }> {
  const dir = files.path(`typed-${++count}`);
  await mkdir(dir);
  await copyFile(settings, join(dir, 'shop.yaml'));
  for (const [name, input] of Object.entries(INPUTS)) await writeFile(join(dir, name), input);
  const shell = spawn('bash', ['-c', `set -o pipefail; ${prepared(line)}`], {
    cwd: dir,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let stopped = false;
  const heard = (part: Buffer): void => {
    said += String(part);
    // Once: a second signal would end it at once.
    if (stopped || !endless(line) || !FIRST_WORDS.test(said)) return;
    stopped = shell.kill('SIGTERM');
  };
  shell.stdout.on('data', heard);
  shell.stderr.on('data', heard);
  const exit = await new Promise<number | null>((settle) => shell.once('close', settle));
  return { exit, said };
}

/** The process itself gets the signal, and what a command needs has been made by the one before. */
function prepared(line: string): string {
  const text = endless(line) ? `exec env ${line}` : line;
  return line.includes('@offsets.json') ? `headwater offsets export shop.yaml > offsets.json; ${text}` : text;
}

it('there are many', () => expect(LINES.length).toBeGreaterThan(25));

describe('typed as it is shown', () => {
  it.each(LINES)('%s', async (line) => {
    await serve(!idle(line));
    if (line.includes(' tail ')) {
      // Something to see.
      const writing = setInterval(() => {
        void database.query('UPDATE orders SET club = club').catch(() => {});
      }, 500);
      const { exit, said } = await typed(line);
      clearInterval(writing);
      expect(exit, said).toBe(0);
      expect(said).toContain('public.orders');
      return;
    }
    const { exit, said } = await typed(line);
    expect(exit, said).toBe(0);
    // As it was, for the next one.
    if (/headwater (?:pause|snapshot) .*/.test(line)) {
      await typed('headwater resume shop.yaml');
      if (line.includes('pause shop.yaml public.orders'))
        await typed('headwater resume shop.yaml public.orders');
      await daemon?.until(({ state }) => state === 'streaming');
      if (line.includes('--pause')) await typed('headwater snapshot shop.yaml --resume');
      await daemon?.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
    }
  });
});

describe('over HTTP, as the tables of the pages list it', () => {
  /** Method, path and body of each row of a page that names one. */
  const paths = (page: string, pattern: RegExp): readonly (readonly string[])[] =>
    PAGES.find(([name]) => name === page)![1]
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) =>
        [...line.matchAll(pattern)].map(([, ...groups]) => groups.map((group) => group ?? '')),
      );
  const operator = paths('docs/operating.md', /^\| `(\/[a-z]*)` /g);
  const api = paths('docs/sql-api.md', /^\| `(GET|POST) (\/[\w-]+)` (?:.*?\| `(\{.*?\})` (?:→|and|ends))?/g);
  /** What stands for something in the bodies. */
  const body = (text: string): string =>
    text
      .replace('SELECT …;', 'SELECT * FROM orders_by_club;')
      .replace(' DESCRIBE x;', ' DESCRIBE orders_by_club;');

  it('there are some', () => {
    expect(operator.length).toBeGreaterThanOrEqual(6);
    expect(api.length).toBeGreaterThanOrEqual(7);
  });

  it.each(operator.map(([path]) => path!))('GET %s', async (path) => {
    await serve(true);
    const answer = await fetch(`http://127.0.0.1:${env['HTTP_PORT']}${path}`);
    expect(answer.status, await answer.text()).toBe(200);
  });

  it.each(api.map(([method, path, text]) => [method!, path!, text!] as const))(
    '%s %s %s',
    async (method, path, text) => {
      await serve(true);
      const answer = await fetch(`http://127.0.0.1:${env['SQL_PORT']}${path}`, {
        method,
        ...(text === '' ? {} : { body: body(text), headers: { 'Content-Type': 'application/json' } }),
      });
      const said = await answer.text();
      // Without a token nothing is written there, and no query runs that could be ended.
      if (path === '/inserts-stream') expect(answer.status, said).toBe(403);
      else if (path === '/close-query') expect(said).not.toContain('Not here');
      else expect(answer.status, said).toBe(200);
    },
  );

  it('the actions of /admin are those of the commands', async () => {
    await serve(true);
    const ask = (path: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${env['HTTP_PORT']}${path}`, {
        method: 'POST',
        body: '{}',
        headers: { 'Content-Type': 'application/json' },
      });
    expect((await ask('/admin/reload')).status).toBe(200);
    for (const action of ['pause', 'resume'])
      expect((await ask(`/admin/pipelines/shop/${action}`)).status, action).toBe(200);
    expect((await ask('/admin/pipelines/shop/forget')).status).toBe(422);
    await daemon?.until(({ state }) => state === 'streaming');
  });
});

describe('statements for PostgreSQL', () => {
  // Those that make the role, the publications, and take them away are run by e2e/least-privileges.postgres.test.ts.
  const statements = PAGES.filter(([page]) => page === 'docs/postgres.md' || page === 'docs/polling.md')
    .flatMap(([, text]) => codeBlocks(text))
    .filter(({ language, text }) => language === 'sql' && !/ROLE|PUBLICATION/.test(text))
    .map(({ text }) => text);

  it('there are some', () => expect(statements.length).toBeGreaterThanOrEqual(2));

  it.each(statements)('%s', async (statement) => {
    const own = await testDatabase();
    try {
      await own.query(
        'CREATE TABLE audit (at text); CREATE TABLE orders (id int PRIMARY KEY, updated_at timestamptz)',
      );
      await own.query(statement);
    } finally {
      await own.drop();
    }
  });
});
