/** The SQL interface of a daemon on a real PostgreSQL, by `headwater sql` and curl. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

const run = promisify(execFile);
const SQL = `
  CREATE STREAM MOVEMENTS WITH (CDC_TABLE = 'asked.public.movements');
  CREATE SOURCE TABLE PEOPLE WITH (CDC_TABLE = 'asked.public.people');
  CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(LOCATION) AS UNIQUE_LOCATIONS,
    COUNT(*) AS LOCATION_CHANGES FROM MOVEMENTS GROUP BY PERSON;
`;
const ROBIN = `SELECT LOCATION_CHANGES, UNIQUE_LOCATIONS FROM PERSON_MOVEMENTS WHERE ROWKEY='robin'`;

let files: Workspace;
let database: TestDatabase;
let path: string;
let daemon: Headwater;
let base: string;

async function start(): Promise<void> {
  daemon = new Headwater(['run', path]);
  const { host, port } = await daemon.line(({ msg }) => msg === 'SQL interface is up');
  base = `http://${String(host)}:${String(port)}`;
  await daemon.until(({ state }) => state === 'streaming');
}

/** With the port that the daemon has taken. */
async function ask(...args: readonly string[]): Promise<string> {
  const asking = await files.write('asking.yaml', settings(base.slice('http://'.length)));
  const { exit, stdout, stderr } = await headwater(['sql', asking, ...args]);
  expect([exit, stderr]).toEqual([0, '']);
  return stdout;
}

function settings(sql: string): string {
  const text = pipelineFile({
    name: 'asked',
    url: database.url,
    tables: ['public.people', 'public.movements'],
    path: files.path('records'),
    source: [`postgres: { slot: ${database.name}, publication: pub }`],
    more: [
      `state: { dir: ${JSON.stringify(files.path('state'))} }`,
      `enrich: { sql: [${JSON.stringify(SQL)}] }`,
    ],
  });
  return text.replace(/^http: .*$/m, `http: { listen: "127.0.0.1:0", sql: "${sql}", sql_changes: open }`);
}

async function move(location: string): Promise<void> {
  await database.query(`INSERT INTO movements (person, location) VALUES ('robin', '${location}')`);
}

/** Asks until the answer is that one: what was written is on its way. */
async function answers(wanted: string): Promise<void> {
  for (;;) if ((await ask('--json', '-e', `${ROBIN};`)) === wanted) return;
}

beforeAll(async () => {
  files = await workspace();
  database = await testDatabase();
  await database.query(`
    CREATE TABLE people (id text PRIMARY KEY, club text, born date, account bigint);
    CREATE TABLE movements (id serial PRIMARY KEY, person text, location text);
    INSERT INTO people VALUES ('robin', 'gold', '2000-01-01', 9007199254740993), ('ada', 'tin', NULL, 1);
  `);
  path = await files.write('asked.yaml', settings('127.0.0.1:0'));
  await start();
});
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

describe('a running daemon', () => {
  it('shows each change of a table as it is committed, and answers from the last commit, restarts included', async () => {
    const watching = await fetch(`${base}/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.ksql.v1+json' },
      body: JSON.stringify({ ksql: `${ROBIN} EMIT CHANGES LIMIT 4;` }),
    });
    for (const location of ['Leeds', 'London', 'Wakefield', 'Leeds']) await move(location);
    const pieces = JSON.parse(await watching.text()) as readonly Record<string, unknown>[];
    expect(pieces.slice(1)).toEqual([
      ...[
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 3],
      ].map((columns) => ({ row: { columns } })),
      { finalMessage: 'Limit Reached' },
    ]);
    await answers('{"LOCATION_CHANGES":4,"UNIQUE_LOCATIONS":3}\n');
    const { stdout } = await run('curl', [
      ...[
        '-s',
        '-X',
        'POST',
        `${base}/query`,
        '-H',
        'Content-Type: application/vnd.ksql.v1+json; charset=utf-8',
      ],
      ...['-d', JSON.stringify({ ksql: `${ROBIN};` })],
    ]);
    expect((JSON.parse(stdout) as readonly unknown[])[1]).toEqual({ row: { columns: [4, 3] } });
    await daemon.kill();
    await start();
    expect(await ask('--json', '-e', `${ROBIN};`)).toBe('{"LOCATION_CHANGES":4,"UNIQUE_LOCATIONS":3}\n');
    await move('York');
    await answers('{"LOCATION_CHANGES":5,"UNIQUE_LOCATIONS":4}\n');
  });

  it('answers from captured tables, as of whole transactions', async () => {
    expect(await ask('-e', `SELECT * FROM PEOPLE WHERE ID = 'robin'`)).toBe(
      [
        'ID    | CLUB | BORN       | ACCOUNT',
        '------+------+------------+-----------------',
        'robin | gold | 2000-01-01 | 9007199254740993',
        '(1 row)',
        '',
      ].join('\n'),
    );
    const accounts = async (): Promise<readonly unknown[]> => {
      const response = await fetch(`${base}/query-stream`, {
        method: 'POST',
        headers: { accept: 'application/json', 'content-type': 'application/json' },
        body: JSON.stringify({ sql: 'SELECT ACCOUNT FROM PEOPLE;' }),
      });
      return ((await response.json()) as readonly (readonly unknown[])[]).slice(1).flat();
    };
    // Two rows that are always changed together are never seen apart.
    await database.query('UPDATE people SET account = -1');
    while ((await accounts()).some((account) => account !== -1));
    const changes = (async () => {
      for (let i = 0; i < 100; i++)
        await database.query(
          `BEGIN; UPDATE people SET account = ${i} WHERE id = 'robin'; UPDATE people SET account = ${i} WHERE id = 'ada'; COMMIT`,
        );
    })();
    const seen = new Set<string>();
    for (let last: unknown = -1; last !== 99;) {
      const pair = await accounts();
      last = pair[0];
      seen.add(JSON.stringify(pair));
    }
    await changes;
    const apart = [...seen].filter((text) => {
      const [one, other] = JSON.parse(text) as readonly unknown[];
      return one !== other;
    });
    expect(apart).toEqual([]);
  });
});
