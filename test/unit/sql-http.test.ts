/** The SQL interface as ksqlDB's clients use it, over a program that reads a scripted log. */
import { execFile } from 'node:child_process';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { KsqlDBClient as RxClient } from 'ksqldb-rx-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import {
  type Attempt,
  column,
  EnrichmentRig,
  type LogTransaction,
  table,
} from '../support/enrichment-rig.ts';
import { KsqldbClient, listenSql } from '../support/sql-listener.ts';

const MOVES = table(
  'moves',
  [
    column('id', { kind: 'int64' }),
    column('person', { kind: 'string' }),
    column('location', { kind: 'string' }),
  ],
  [0],
);
const SQL = `
  CREATE STREAM MOVEMENTS WITH (CDC_TABLE = 'shop.public.moves');
  CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(LOCATION) AS UNIQUE_LOCATIONS,
    COUNT(*) AS LOCATION_CHANGES FROM MOVEMENTS GROUP BY PERSON;
`;
const BIG = 9_007_199_254_740_993n;
const LOG: readonly LogTransaction[] = ['Leeds', 'London', 'Wakefield', 'Leeds'].map((place, i) => [
  { table: MOVES, op: 'c', after: [BIG + BigInt(i), 'robin', place] },
]);
const ROBIN = `SELECT LOCATION_CHANGES, UNIQUE_LOCATIONS FROM PERSON_MOVEMENTS WHERE ROWKEY='robin'`;

let rig: EnrichmentRig;
let attempt: Attempt;
let server: HttpServer;
let base: string;

async function start(token: string | null = null): Promise<void> {
  server = await listenSql({ desk: rig.desk, token, version: '1.2.3' });
  base = `http://127.0.0.1:${server.port}`;
}

beforeEach(async () => {
  rig = new EnrichmentRig({ sql: SQL, tables: [MOVES], log: LOG, snapshotAt: 0 });
  attempt = await rig.attempt();
  await start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await attempt.end();
  rig[Symbol.dispose]();
});

async function move(until: number): Promise<void> {
  await attempt.read(until, () => 10);
  attempt.commit();
}

function post(path: string, body: object | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(base + path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/vnd.ksql.v1+json; charset=utf-8', ...headers },
  });
}

async function refusal(answer: Promise<Response>): Promise<readonly [number, number, string]> {
  const response = await answer;
  const { error_code, message } = (await response.json()) as { error_code: number; message: string };
  return [response.status, error_code, message];
}

/** Until the query has begun: its first line is there. */
async function firstPiece(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return Buffer.from((await reader.read()).value ?? []).toString();
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += Buffer.from(value).toString();
  }
}

describe('the clients of ksqlDB', () => {
  it('curl … /query, as it is printed', async () => {
    await move(4);
    const { stdout } = await promisify(execFile)('curl', [
      '-s',
      '-X',
      'POST',
      `${base}/query`,
      '-H',
      'Content-Type: application/vnd.ksql.v1+json; charset=utf-8',
      '-d',
      `{"ksql":"${ROBIN};"}`,
    ]);
    const body = JSON.parse(stdout) as readonly unknown[];
    expect(body).toEqual([
      {
        header: {
          queryId: expect.any(String) as string,
          schema: '`LOCATION_CHANGES` BIGINT, `UNIQUE_LOCATIONS` BIGINT',
        },
      },
      { row: { columns: [4, 3] } },
    ]);
  });

  it('curl as ksqlDB’s documentation has it, which names no type of the body', async () => {
    const curl = async (...more: readonly string[]): Promise<unknown> => {
      const { stdout } = await promisify(execFile)('curl', ['-s', '-X', 'POST', ...more]);
      return JSON.parse(stdout.split('\n', 1)[0] ?? '') as unknown;
    };
    const accept = ['-H', 'Accept: application/vnd.ksql.v1+json'];
    const list = '{"ksql": "LIST STREAMS;", "streamsProperties": {}}';
    expect(await curl(`${base}/ksql`, ...accept, '-d', list)).toMatchObject([{ '@type': 'streams' }]);
    expect(await curl(`${base}/query-stream`, '-d', `{"sql": "${ROBIN};", "properties": {}}`)).toMatchObject({
      columnNames: ['LOCATION_CHANGES', 'UNIQUE_LOCATIONS'],
    });
    // Of a browser such a body can be any site's.
    const page = ['-H', 'Sec-Fetch-Site: same-origin'];
    expect(await curl(`${base}/ksql`, ...accept, ...page, '-d', list)).toMatchObject({ error_code: 41500 });
    const origin = ['-H', `Origin: ${base}`];
    expect(await curl(`${base}/ksql`, ...accept, ...origin, '-d', list)).toMatchObject({ error_code: 41500 });
  });

  it('npm ksqldb-client: statements, a pull and a push query over HTTP/2', async () => {
    await move(2);
    const client = new KsqldbClient({ host: 'http://127.0.0.1', port: server.port });
    await client.connect();
    try {
      expect(JSON.stringify(await client.listTables())).toContain('PERSON_MOVEMENTS');
      expect(await client.executeStatement('DROP TABLE PERSON_MOVEMENTS;')).toMatchObject({
        error: { error_code: 40300 },
      });
      const { data, status } = await client.query(`${ROBIN};`);
      expect([status, data?.rows]).toEqual([200, [{ LOCATION_CHANGES: 2, UNIQUE_LOCATIONS: 2 }]]);
      const rows: unknown[] = [];
      let begun: (() => void) | null = null;
      const metadata = new Promise<void>((resolve) => (begun = resolve));
      const ended = client.streamQuery(`${ROBIN} EMIT CHANGES LIMIT 2;`, (part) => {
        begun?.();
        rows.push(...(part.rows ?? []));
      });
      await metadata;
      await move(4);
      expect((await ended).status).toBe(200);
      expect(rows).toEqual([
        { LOCATION_CHANGES: 3, UNIQUE_LOCATIONS: 3 },
        { LOCATION_CHANGES: 4, UNIQUE_LOCATIONS: 3 },
      ]);
      const wrong = await client.query('SELECT NOTHING FROM PERSON_MOVEMENTS;');
      expect(wrong.error).toMatchObject({ error_code: 40001 });
    } finally {
      await client.disconnect();
    }
  });

  it('npm ksqldb-rx-client: both versions of HTTP on one port', async () => {
    const client = new RxClient(base);
    try {
      expect(await client.getInfo()).toMatchObject({
        KsqlServerInfo: { version: '0.29.0', serverStatus: 'RUNNING' },
      });
      expect(await client.getHealthcheck()).toMatchObject({ isHealthy: false });
      expect(await client.listStreams()).toMatchObject({
        streams: [{ name: 'MOVEMENTS', topic: 'shop.public.moves', isWindowed: false }],
      });
      const rows: unknown[] = [];
      const done = new Promise<void>((resolve, reject) => {
        client
          .queryStream({ sql: 'SELECT LOCATION FROM MOVEMENTS EMIT CHANGES LIMIT 2;' })
          .subscribe({ next: (row) => rows.push(row), error: reject, complete: resolve });
      });
      await until(() => [...rig.desk.running.values()].some(({ pushQueries }) => pushQueries === 1));
      await move(2);
      await done;
      expect(rows).toEqual([{ LOCATION: 'Leeds' }, { LOCATION: 'London' }]);
    } finally {
      client.close();
    }
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('/query and /query-stream', () => {
  it('write the forms that Accept asks for', async () => {
    await move(4);
    const sql = { sql: 'SELECT PERSON, LOCATION_CHANGES FROM PERSON_MOVEMENTS;' };
    const metadata = {
      queryId: expect.any(String) as string,
      columnNames: ['PERSON', 'LOCATION_CHANGES'],
      columnTypes: ['STRING', 'BIGINT'],
    };
    const lines = await post('/query-stream', sql);
    expect(lines.headers.get('content-type')).toBe('application/vnd.ksqlapi.delimited.v1');
    const text = await lines.text();
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([metadata, ['robin', 4]]);
    const array = await post('/query-stream', sql, { accept: 'application/json' });
    expect(await array.json()).toEqual([metadata, ['robin', 4]]);
    const old = await post('/query-stream', sql, { accept: 'text/html;q=0.9, application/vnd.ksql.v1+json' });
    expect(await old.json()).toEqual([
      {
        header: {
          queryId: expect.any(String) as string,
          schema: '`PERSON` STRING KEY, `LOCATION_CHANGES` BIGINT',
        },
      },
      { row: { columns: ['robin', 4] } },
    ]);
    expect(await refusal(post('/query-stream', sql, { accept: 'text/html' }))).toEqual([
      406,
      40600,
      expect.any(String),
    ]);
  });

  it('join with complete tables only, whatever is asked for', async () => {
    const ask = (value: string): Promise<Response> =>
      post('/query-stream', {
        sql: 'SELECT PERSON FROM PERSON_MOVEMENTS;',
        properties: { 'table.bootstrap': value },
      });
    expect((await ask('wait')).status).toBe(200);
    expect(await refusal(ask('NONE'))).toEqual([
      400,
      40000,
      expect.stringMatching(
        /^table\.bootstrap is WAIT, not "NONE": what an event is joined with would depend on /,
      ),
    ]);
    const explained = post('/ksql', {
      ksql: `SET 'table.bootstrap' = 'NONE'; EXPLAIN SELECT * FROM PERSON_MOVEMENTS;`,
    });
    expect((await explained).status).toBe(400);
  });

  it('a push query gives each row as a line at once, with all digits, and ends with a last word', async () => {
    const response = await post('/query', {
      ksql: 'SELECT ID FROM MOVEMENTS EMIT CHANGES LIMIT 2;',
      streamsProperties: { 'auto.offset.reset': 'latest' },
    });
    const reader = response.body!.getReader();
    expect(await firstPiece(reader)).toMatch(/^\[\{"header":.*\},\n$/);
    await move(2);
    // Newlines tell an idle connection from a dead one.
    expect((await rest(reader)).split('\n').filter((line) => line !== '')).toEqual([
      `{"row":{"columns":[${BIG}]}},`,
      `{"row":{"columns":[${BIG + 1n}]}},`,
      '{"finalMessage":"Limit Reached"}]',
    ]);
  });

  it('are ended by /close-query, by the end of the pipeline, and when the client goes away', async () => {
    const begin = async (): Promise<[string, ReadableStreamDefaultReader<Uint8Array>]> => {
      const response = await post('/query-stream', { sql: 'SELECT ID FROM MOVEMENTS EMIT CHANGES;' });
      const reader = response.body!.getReader();
      const { queryId } = JSON.parse(await firstPiece(reader)) as { queryId: string };
      return [queryId, reader];
    };
    const running = (): number => [...rig.desk.running.values()][0]?.pushQueries ?? 0;
    const [id, closed] = await begin();
    expect((await post('/close-query', { queryId: id })).status).toBe(200);
    expect(await rest(closed)).toBe('');
    expect(await refusal(post('/close-query', { queryId: id }))).toEqual([400, 40000, expect.any(String)]);
    const [, gone] = await begin();
    expect(running()).toBe(1);
    await gone.cancel();
    await until(() => running() === 0);
    const [, ended] = await begin();
    await attempt.end();
    expect(JSON.parse(await rest(ended))).toMatchObject({ error_code: 50303 });
    expect(await refusal(post('/query-stream', { sql: 'SELECT ID FROM MOVEMENTS EMIT CHANGES;' }))).toEqual([
      503,
      50302,
      expect.any(String),
    ]);
  });

  it('a client that does not read is cut off, and the pipeline goes on', async () => {
    const wide = 'x'.repeat(100_000);
    const log: LogTransaction[] = Array.from({ length: 400 }, (_, i) => [
      { table: MOVES, op: 'c', after: [i, wide, 'y'] },
    ]);
    using other = new EnrichmentRig({ sql: SQL, tables: [MOVES], log, snapshotAt: 0 });
    const reading = await other.attempt();
    const slow = await listenSql({ desk: other.desk });
    const body = JSON.stringify({ ksql: 'SELECT * FROM MOVEMENTS EMIT CHANGES;' });
    const socket = connect(slow.port, '127.0.0.1');
    socket.write(
      `POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    await until(() => [...other.desk.running.values()].some(({ pushQueries }) => pushQueries === 1));
    socket.pause();
    for (let i = 1; i <= log.length; i++) {
      await reading.read(i, () => 1);
      reading.commit();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(other.committed.filter(({ topic }) => topic === 'PERSON_MOVEMENTS')).toHaveLength(log.length);
    let text = '';
    socket.on('data', (part) => (text = (text + part.toString()).slice(-2_000)));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(text).toMatch(
      /"errorMessage":\{"@type":"generic_error","error_code":42900,"message":"The query was cut off/,
    );
    await slow[Symbol.asyncDispose]();
    await reading.end();
  });
});

describe('/ksql', () => {
  const entities = async (ksql: string, more: object = {}): Promise<readonly Record<string, unknown>[]> =>
    (await (await post('/ksql', { ksql, ...more })).json()) as readonly Record<string, unknown>[];

  it('shows, describes and explains', async () => {
    const [tables, queries, described, explained] = await entities(
      `SHOW TABLES; SHOW QUERIES; DESCRIBE \${T}; EXPLAIN SELECT PERSON FROM PERSON_MOVEMENTS WHERE PERSON = 'x';`,
      { sessionVariables: { t: 'PERSON_MOVEMENTS' } },
    );
    expect(tables).toMatchObject({
      '@type': 'tables',
      statementText: 'SHOW TABLES;',
      tables: [{ type: 'TABLE', name: 'PERSON_MOVEMENTS', keyFormat: 'KAFKA', valueFormat: 'JSON' }],
    });
    expect(queries).toMatchObject({ queries: [{ id: 'CTAS_PERSON_MOVEMENTS_0', state: 'RUNNING' }] });
    expect(described).toMatchObject({
      sourceDescription: {
        fields: [
          { name: 'PERSON', schema: { type: 'STRING', fields: null, memberSchema: null }, type: 'KEY' },
          { name: 'UNIQUE_LOCATIONS', schema: { type: 'BIGINT' } },
          { name: 'LOCATION_CHANGES', schema: { type: 'BIGINT' } },
        ],
        writeQueries: [{ id: 'CTAS_PERSON_MOVEMENTS_0' }],
      },
    });
    expect(explained).toMatchObject({
      queryDescription: {
        executionPlan: '> LOOK UP 1 key(s) of PERSON_MOVEMENTS, as of the last durable commit',
      },
    });
    const [byId] = await entities('EXPLAIN CTAS_PERSON_MOVEMENTS_0;');
    expect(JSON.stringify(byId)).toContain('AGGREGATE 2 by 1 expression');
    const [grouped] = await entities('EXPLAIN SELECT COUNT(*) FROM PERSON_MOVEMENTS GROUP BY 1;');
    expect(grouped).toMatchObject({
      queryDescription: { executionPlan: expect.stringMatching(/^> AGGREGATE 1 by 1 .*\n > SCAN/) as string },
    });
    expect(await entities('SHOW TYPES;')).toMatchObject([{ '@type': 'type_list', types: {} }]);
    const [properties] = await entities(`SET 'auto.offset.reset' = 'earliest'; SHOW PROPERTIES;`);
    const of = { scope: 'KSQL', editable: true, level: 'QUERY' };
    expect(properties).toMatchObject({
      properties: [
        { name: 'auto.offset.reset', value: 'earliest', ...of },
        { name: 'ksql.query.pull.table.scan.enabled', value: 'true', ...of },
      ],
      overwrittenProperties: ['auto.offset.reset'],
      defaultProperties: ['ksql.query.pull.table.scan.enabled'],
    });
  });

  it('SHOW VARIABLES tells what is defined there', async () => {
    const [before, after] = await entities(
      `DEFINE a = '1'; DEFINE b = '2'; SHOW VARIABLES; UNDEFINE a; DEFINE b = '3'; SHOW VARIABLES;`,
      { sessionVariables: { c: 'x' } },
    );
    expect(before).toMatchObject({
      variables: [
        { name: 'C', value: 'x' },
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    });
    expect(after).toMatchObject({
      variables: [
        { name: 'C', value: 'x' },
        { name: 'B', value: '3' },
      ],
    });
  });

  it('SHOW QUERIES lists those of clients that go on, for as long as they do', async () => {
    const sql = 'SELECT PERSON FROM MOVEMENTS EMIT CHANGES;';
    const push = await post('/query-stream', { sql });
    const reader = push.body!.getReader();
    const { queryId } = JSON.parse(await firstPiece(reader)) as { readonly queryId: string };
    const [listed, described] = await entities('SHOW QUERIES; SHOW QUERIES EXTENDED;');
    expect(listed).toMatchObject({
      queries: [
        { id: 'CTAS_PERSON_MOVEMENTS_0', queryType: 'PERSISTENT' },
        {
          queryString: sql.slice(0, -1),
          sinks: [],
          sinkKafkaTopics: [],
          id: queryId,
          statusCount: { RUNNING: 1 },
          queryType: 'PUSH',
          state: 'RUNNING',
        },
      ],
    });
    expect(described).toMatchObject({
      queryDescriptions: [
        { id: 'CTAS_PERSON_MOVEMENTS_0' },
        { id: queryId, sources: ['MOVEMENTS'], fields: [{ name: 'PERSON' }], queryType: 'PUSH' },
      ],
    });
    await post('/close-query', { queryId });
    while (!(await reader.read()).done);
    expect((await entities('SHOW QUERIES;'))[0]?.['queries']).toHaveLength(1);
  });

  it('DESCRIBE FUNCTION tells how one is called', async () => {
    const described = await post('/ksql', { ksql: 'DESCRIBE FUNCTION topk; DESCRIBE FUNCTION LCASE;' });
    expect(await described.json()).toMatchObject([
      {
        '@type': 'describe_function',
        name: 'TOPK',
        type: 'AGGREGATE',
        description: 'TOPK(value [, other, …], count)',
      },
      { '@type': 'describe_function', name: 'LCASE', type: 'SCALAR', description: 'LCASE(text)' },
    ]);
    const unknown = await post('/ksql', { ksql: 'DESCRIBE FUNCTION LCAS;' });
    expect(await unknown.json()).toMatchObject({
      error_code: 40001,
      message: 'line 1:1: there is no function LCAS; did you mean LCASE?',
    });
  });

  it('ends at the first statement that fails, with the results of those before', async () => {
    const response = await post('/ksql', { ksql: 'SHOW TABLES; SHOW STREAMZ; SHOW STREAMS;' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      '@type': 'statement_error',
      error_code: 40001,
      message: expect.stringMatching(/^line 1:\d+: .*STREAMS/) as string,
    });
    const missing = await post('/ksql', { ksql: 'SHOW TABLES; DESCRIBE PERSON_MOVEMENT;' });
    expect(await missing.json()).toMatchObject({
      message: expect.stringContaining('did you mean PERSON_MOVEMENTS?') as string,
      statementText: 'DESCRIBE PERSON_MOVEMENT',
      entities: [{ '@type': 'tables' }],
    });
    expect(await refusal(post('/ksql', { ksql: 'SELECT * FROM MOVEMENTS EMIT CHANGES;' }))).toEqual([
      400,
      40002,
      expect.any(String),
    ]);
    expect(await refusal(post('/query', { ksql: 'SHOW TABLES;' }))).toEqual([400, 40002, expect.any(String)]);
    expect(await refusal(post('/ksql', { ksql: 'CREATE STREAM x AS SELECT * FROM MOVEMENTS;' }))).toEqual([
      403,
      40300,
      expect.stringContaining('http.token'),
    ]);
  });
});

describe('requests that are none', () => {
  it('are refused with their code', async () => {
    expect(await refusal(post('/ksql', 'no json'))).toEqual([400, 40000, 'The body is no JSON.']);
    expect(await refusal(post('/ksql', '[]'))).toEqual([400, 40000, expect.any(String)]);
    expect(await refusal(post('/ksql', {}))).toEqual([400, 40000, 'The body has no field ksql.']);
    expect(await refusal(post('/ksql', { ksql: 7 }))).toEqual([400, 40000, expect.any(String)]);
    expect(await refusal(post('/ksql', { ksql: ' '.repeat(1024 * 1024) }))).toEqual([
      413,
      41300,
      expect.any(String),
    ]);
    expect(await refusal(post('/ksql', '{}', { 'content-type': 'text/plain' }))).toEqual([
      415,
      41500,
      expect.any(String),
    ]);
    expect(await refusal(post('/query', { ksql: ' ' }))).toEqual([400, 40000, expect.any(String)]);
    expect(await refusal(post('/query', { ksql: 'SELECT 1 FROM A; SELECT 1 FROM B' }))).toEqual([
      400,
      40000,
      expect.any(String),
    ]);
    expect(
      await refusal(post('/query', { ksql: ROBIN, streamsProperties: { 'auto.offset.reset': 'sometimes' } })),
    ).toEqual([400, 40000, expect.any(String)]);
    expect(await refusal(fetch(`${base}/nothing`))).toEqual([404, 40400, expect.any(String)]);
    expect(await refusal(post('/inserts-stream', { target: 'X' }))).toEqual([403, 40300, expect.any(String)]);
    expect((await fetch(base, { redirect: 'manual' })).headers.get('location')).toBe('/info');
  });

  it('without a token are those of names and of other sites’ pages', async () => {
    expect(
      await refusal(post('/ksql', { ksql: 'SHOW TABLES;' }, { 'sec-fetch-site': 'cross-site' })),
    ).toEqual([403, 40300, expect.any(String)]);
    const session = connectHttp2(base, { authority: 'evil.example' } as object);
    const stream = session.request({ [constants.HTTP2_HEADER_AUTHORITY]: 'evil.example', ':path': '/info' });
    const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
    stream.resume();
    expect(await status).toBe(421);
    session.close();
  });

  it('with a token are all that do not carry it', async () => {
    await server[Symbol.asyncDispose]();
    await start('s3cret');
    expect(await refusal(post('/ksql', { ksql: 'SHOW TABLES;' }))).toEqual([401, 40100, expect.any(String)]);
    expect((await fetch(`${base}/info`)).status).toBe(401);
    for (const authorization of ['Bearer s3cret', `Basic ${Buffer.from('me:s3cret').toString('base64')}`])
      expect((await post('/ksql', { ksql: 'SHOW TABLES;' }, { authorization })).status).toBe(200);
  });

  it('bytes of neither protocol hurt nobody', async () => {
    for (const bytes of ['PRI nonsense\r\n\r\n', '\u0000\u0001\u0002\u0003', 'PR', 'POST /query']) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect((await fetch(`${base}/info`)).status).toBe(200);
  });
});
