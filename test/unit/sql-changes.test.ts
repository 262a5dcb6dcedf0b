/** Statements that change what runs, over HTTP, by ksqlDB's clients: over a program that reads a scripted log. */
import { mkdirSync, rmSync } from 'node:fs';
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

const ORDERS = table(
  'orders',
  [
    column('id', { kind: 'int64' }),
    column('customer_id', { kind: 'int64' }),
    column('total', { kind: 'int32' }),
  ],
  [0],
);
const CUSTOMERS = table(
  'customers',
  [column('id', { kind: 'int64' }), column('name', { kind: 'string' }), column('club', { kind: 'string' })],
  [0],
);
const LOG: readonly LogTransaction[] = [
  [{ table: CUSTOMERS, op: 'c', after: [1n, 'Ada', 'gold'] }],
  [{ table: CUSTOMERS, op: 'c', after: [2n, 'Bo', 'tin'] }],
  ...Array.from({ length: 12 }, (_, i): LogTransaction => [
    { table: ORDERS, op: 'c', after: [BigInt(i), BigInt(1 + (i % 2)), i] },
  ]),
];
const SETTINGS = `CREATE STREAM ORDERS WITH (CDC_TABLE = 'shop.public.orders');
  CREATE STREAM BIG AS SELECT * FROM ORDERS WHERE TOTAL > 4;`;
const TOKEN = 's3cret';

let rig: EnrichmentRig;
let attempt: Attempt;
let server: HttpServer;
/** How often the pipeline has begun anew. */
let changed = 0;

async function listen(token: string | null, changesNeedToken = true): Promise<void> {
  server = await listenSql({
    desk: rig.desk,
    token,
    change: async (_pipeline, edits) => {
      changed++;
      attempt = await rig.change(attempt, edits);
    },
    changesNeedToken,
  });
}

beforeEach(async () => {
  rig = new EnrichmentRig({ sql: SETTINGS, tables: [ORDERS, CUSTOMERS], log: LOG, snapshotAt: 2 });
  rig.viewAt = 2;
  attempt = await rig.attempt();
  await rig.load(attempt);
  await listen(TOKEN);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await attempt.end();
  rig[Symbol.dispose]();
});

async function read(until: number): Promise<void> {
  await attempt.read(until, () => 10);
  attempt.commit();
}

interface Entity {
  readonly '@type': string;
  readonly message?: string;
  readonly error_code?: number;
  readonly commandId?: string;
  readonly commandStatus?: {
    readonly status: string;
    readonly message: string;
    readonly queryId: string | null;
  };
  readonly entities?: readonly Entity[];
  readonly warnings?: readonly { readonly message: string }[];
  readonly [other: string]: unknown;
}

async function ksql(text: string, more: object = {}, token = TOKEN): Promise<readonly Entity[]> {
  const response = await fetch(`http://127.0.0.1:${server.port}/ksql`, {
    method: 'POST',
    body: JSON.stringify({ ksql: text, ...more }),
    headers: {
      'content-type': 'application/vnd.ksql.v1+json; charset=utf-8',
      authorization: `Bearer ${token}`,
    },
  });
  const body = (await response.json()) as Entity | readonly Entity[];
  return Array.isArray(body) ? (body as readonly Entity[]) : [body as Entity];
}

async function refusal(text: string): Promise<string> {
  const [first] = await ksql(text);
  return `${String(first?.error_code)} ${first?.message}`;
}

function namesIn(entity: Entity | undefined, list: string): readonly unknown[] {
  return ((entity?.[list] ?? []) as readonly Entity[]).map((each) => each['name']);
}

const values = (topic: string): readonly unknown[] =>
  rig.committed
    .filter((each) => each.topic === topic)
    .map(({ value }) => JSON.parse(value ?? 'null') as unknown);

const JOINED = `CREATE TABLE CUSTOMERS WITH (CDC_TABLE = 'shop.public.customers');
  CREATE STREAM NAMED AS SELECT O.ID AS ID, C.NAME FROM ORDERS O LEFT JOIN CUSTOMERS C ON O.CUSTOMER_ID = C.ID`;

describe('a format without its registry', () => {
  it('is refused with a code of its own', async () => {
    expect(await refusal(`CREATE STREAM A WITH (VALUE_FORMAT = 'AVRO') AS SELECT * FROM BIG;`)).toMatch(
      /^42801 line 1:\d+: AVRO needs a schema registry/,
    );
  });
});

describe('commandSequenceNumber', () => {
  it('is waited for', async () => {
    const [created] = await ksql('CREATE STREAM A AS SELECT * FROM BIG;');
    const number = Number(created?.['commandSequenceNumber']);
    expect(number).toBeGreaterThan(0);
    expect(await ksql('SHOW STREAMS;', { commandSequenceNumber: number })).toMatchObject([
      { '@type': 'streams' },
    ]);
    expect(await ksql('SHOW STREAMS;', { commandSequenceNumber: -1 })).toMatchObject([
      { '@type': 'streams' },
    ]);
    const next = ksql('SHOW STREAMS;', { commandSequenceNumber: number + 1 });
    await ksql('CREATE STREAM B AS SELECT * FROM BIG;');
    const [streams] = await next;
    expect(namesIn(streams, 'streams')).toContain('B');
    expect(await ksql('SHOW STREAMS;', { commandSequenceNumber: 'x' })).toMatchObject([
      { error_code: 40000 },
    ]);
    expect(await ksql('SHOW STREAMS;', { commandSequenceNumber: number + 2 })).toMatchObject([
      { error_code: 50301 },
    ]);
  });
});

describe('CREATE', () => {
  it('begins where the log stands, and disturbs nothing that runs', async () => {
    await read(8);
    const [created, query] = await ksql(JOINED);
    expect(created).toMatchObject({
      '@type': 'currentStatus',
      commandId: 'table/`CUSTOMERS`/create',
      commandStatus: { status: 'SUCCESS', message: 'Table created', queryId: null },
      commandSequenceNumber: 2,
    });
    expect(query).toMatchObject({
      commandId: 'stream/`NAMED`/create',
      commandStatus: {
        status: 'SUCCESS',
        message: 'Created query with ID CSAS_NAMED_3',
        queryId: 'CSAS_NAMED_3',
      },
    });
    await read(14);
    expect(values('BIG').map((row) => (row as { TOTAL: number }).TOTAL)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(values('NAMED')).toEqual(
      [6, 7, 8, 9, 10, 11].map((i) => ({ ID: i, NAME: i % 2 === 0 ? 'Ada' : 'Bo' })),
    );
    const [queries] = await ksql('SHOW QUERIES;');
    expect(queries).toMatchObject({
      queries: [{ id: 'CSAS_BIG_0' }, { id: 'CSAS_NAMED_3', sinks: ['NAMED'], state: 'RUNNING' }],
    });
  });

  it('is still there after a crash, and its table goes on from its rows', async () => {
    await ksql('CREATE TABLE COUNTED AS SELECT CUSTOMER_ID, COUNT(*) AS N FROM ORDERS GROUP BY CUSTOMER_ID;');
    await read(6);
    await attempt.read(9, () => 10);
    // What was not committed is lost.
    await attempt.end();
    attempt = await rig.attempt();
    await rig.load(attempt);
    await read(14);
    expect(values('COUNTED').map((row) => (row as { N: number }).N)).toEqual([
      1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6,
    ]);
  });

  it('that is wrong says where, changes nothing, and leaves what came before it', async () => {
    const [failure] = await ksql(
      'CREATE STREAM A AS SELECT ID FROM ORDERS; CREATE STREAM B AS SELECT CLUP FROM ORDERS; CREATE STREAM C AS SELECT ID FROM ORDERS;',
    );
    expect(failure).toMatchObject({
      '@type': 'statement_error',
      error_code: 40001,
      message: 'line 1:69: there is no column CLUP in ORDERS; it has ID, CUSTOMER_ID, TOTAL',
      statementText: 'CREATE STREAM B AS SELECT CLUP FROM ORDERS',
      entities: [{ commandStatus: { status: 'SUCCESS', queryId: 'CSAS_A_2' } }],
    });
    const [streams] = await ksql('SHOW STREAMS;');
    expect(namesIn(streams, 'streams')).toEqual(['ORDERS', 'BIG', 'A']);
    expect(await refusal('CREATE STREAM A AS SELECT ID FROM ORDERS;')).toBe(
      '40001 line 1:1: there is a stream A already',
    );
    expect((await ksql('CREATE STREAM IF NOT EXISTS A AS SELECT ID FROM ORDERS;'))[0]).toMatchObject({
      '@type': 'warning_entity',
      message: 'There is a stream A already.',
    });
  });

  it('of several statements takes effect at once, whatever the request sets in between', async () => {
    const before = changed;
    const [a, b] = await ksql(
      `CREATE STREAM A AS SELECT ID FROM ORDERS; SET 'auto.offset.reset' = 'latest'; DEFINE c = 'TOTAL';
       CREATE STREAM B AS SELECT \${c} AS T FROM ORDERS;`,
    );
    expect([a, b]).toMatchObject([
      { commandStatus: { status: 'SUCCESS' } },
      { commandStatus: { status: 'SUCCESS' } },
    ]);
    expect(changed - before).toBe(1);
  });

  it('refuses ON_ERROR = STOP, which nobody could take back', async () => {
    expect(await refusal(`CREATE STREAM A WITH (ON_ERROR = 'stop') AS SELECT * FROM ORDERS;`)).toMatch(
      /^40001 line 1:23: STOP would end the pipeline/,
    );
    expect(await ksql(`CREATE STREAM A WITH (ON_ERROR = 'LOG') AS SELECT * FROM ORDERS;`)).toMatchObject([
      { commandStatus: { status: 'SUCCESS' } },
    ]);
  });

  it('tells what the friendly dialect let pass', async () => {
    const [created] = await ksql('CREATE STREAM A AS SELECT ID, FROM ORDERS');
    expect(created?.warnings?.map(({ message }) => message)).toEqual([
      expect.stringContaining('comma before FROM'),
    ]);
  });
});

describe('what is asked of statements', () => {
  it('EXPLAIN compiles and runs nothing', async () => {
    const [explained] = await ksql('EXPLAIN CREATE STREAM A AS SELECT ID FROM ORDERS WHERE TOTAL > 3;');
    expect(explained).toMatchObject({
      '@type': 'queryDescription',
      queryDescription: { id: 'CSAS_A_2', sinks: ['A'] },
    });
    expect((await ksql('SHOW QUERIES;'))[0]).toMatchObject({ queries: [{ id: 'CSAS_BIG_0' }] });
  });

  it('DESCRIBE EXTENDED and /healthcheck tell how far a table has been read', async () => {
    await ksql(JOINED);
    const [table, stream, tables] = await ksql(
      'DESCRIBE CUSTOMERS EXTENDED; DESCRIBE NAMED EXTENDED; SHOW TABLES EXTENDED;',
    );
    const statistics = 'rows: 2, complete';
    const [byId, asked, scan] = await ksql(
      'EXPLAIN CSAS_NAMED_3; EXPLAIN CREATE STREAM X AS SELECT O.ID, C.NAME FROM ORDERS O JOIN CUSTOMERS C ON O.ID = C.ID; EXPLAIN SELECT ID FROM CUSTOMERS;',
    );
    for (const explained of [byId, asked, scan])
      expect(JSON.stringify(explained?.['queryDescription'])).toMatch(/kept, 2 rows|all 2 rows/);
    expect(table).toMatchObject({ sourceDescription: { extended: true, statistics } });
    expect(stream).toMatchObject({ sourceDescription: { extended: true, statistics: '', timestamp: '' } });
    expect(tables).toMatchObject({ sourceDescriptions: [{ name: 'CUSTOMERS', statistics }] });
    const details = async (): Promise<Readonly<Record<string, unknown>>> => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const answer = await fetch(`http://127.0.0.1:${server.port}/healthcheck`, { headers });
      return ((await answer.json()) as { readonly details: Readonly<Record<string, unknown>> }).details;
    };
    expect(Object.keys(await details())).not.toContain('shop.CUSTOMERS');
    await attempt.end();
    rmSync(rig.dir, { recursive: true });
    mkdirSync(rig.dir);
    attempt = await rig.attempt();
    expect((await details())['shop.CUSTOMERS']).toEqual({ isHealthy: true, state: 'bootstrapping', rows: 0 });
    expect((await ksql('DESCRIBE CUSTOMERS EXTENDED;'))[0]).toMatchObject({
      sourceDescription: { statistics: 'rows: 0, still being read' },
    });
  });

  it('DESCRIBE tells the statement, /status what has become of it, /clusterStatus who runs it', async () => {
    await ksql('CREATE STREAM A AS SELECT ID FROM ORDERS;');
    expect((await ksql('DESCRIBE A;'))[0]).toMatchObject({
      sourceDescription: { statement: 'CREATE STREAM A AS SELECT ID FROM ORDERS' },
    });
    const get = async (path: string): Promise<unknown> =>
      (
        await fetch(`http://127.0.0.1:${server.port}${path}`, {
          headers: { authorization: `Bearer ${TOKEN}` },
        })
      ).json();
    const status = { status: 'SUCCESS', message: 'Created query with ID CSAS_A_2', queryId: 'CSAS_A_2' };
    expect(await get('/status/stream/A/create')).toEqual(status);
    expect(await get('/status')).toEqual({ commandStatuses: { 'stream/A/create': status } });
    expect(await get('/status/stream/B/create')).toMatchObject({ error_code: 40400 });
    expect(await get('/clusterStatus')).toMatchObject({
      clusterStatus: { '127.0.0.1:0': { hostAlive: true, activeStandbyPerQuery: { CSAS_A_2: {} } } },
    });
  });

  it('rows are inserted into streams over topics alone', async () => {
    expect(await refusal('INSERT INTO ORDERS (ID) VALUES (1);')).toBe(
      '40001 line 1:1: ORDERS is captured from the database: write to that',
    );
    expect(await refusal('INSERT INTO BIG (ID) VALUES (1);')).toBe(
      '40001 line 1:1: BIG is the result of a query; INSERT into the topic that it reads',
    );
  });
});

describe('DROP and TERMINATE', () => {
  beforeEach(() => ksql(`${JOINED}; CREATE STREAM GOLD AS SELECT * FROM NAMED WHERE NAME = 'Ada';`));

  it('end a query, and what nothing reads any more', async () => {
    await read(4);
    expect(await refusal('DROP STREAM NAMED;')).toBe(
      '40001 line 1:1: NAMED is read or written by CSAS_GOLD_4: TERMINATE that first',
    );
    expect(
      (await ksql('DROP STREAM IF EXISTS GOLD; DROP STREAM NAMED; DROP TABLE CUSTOMERS;')).map(
        ({ commandId, commandStatus }) => [commandId, commandStatus?.message],
      ),
    ).toEqual([
      ['stream/`GOLD`/drop', 'Source `GOLD` (topic: GOLD) was dropped.'],
      ['stream/`NAMED`/drop', 'Source `NAMED` (topic: NAMED) was dropped.'],
      ['table/`CUSTOMERS`/drop', 'Source `CUSTOMERS` (topic: shop.public.customers) was dropped.'],
    ]);
    await read(14);
    expect(values('NAMED')).toHaveLength(2);
    expect(values('BIG')).toHaveLength(7);
    expect(await refusal('DROP STREAM GOLD;')).toBe('40001 line 1:1: there is no stream GOLD');
    expect((await ksql('DROP STREAM IF EXISTS GOLD;'))[0]).toMatchObject({ '@type': 'warning_entity' });
  });

  it('a terminated query leaves its stream', async () => {
    await read(4);
    expect((await ksql('TERMINATE CSAS_NAMED_3;'))[0]).toMatchObject({
      commandId: 'terminate/CSAS_NAMED_3/execute',
      commandStatus: { status: 'SUCCESS', message: 'Query terminated.' },
    });
    await read(14);
    expect(values('NAMED')).toHaveLength(2);
    const [described] = await ksql('DESCRIBE NAMED;');
    expect(described).toMatchObject({
      sourceDescription: {
        name: 'NAMED',
        topic: 'NAMED',
        writeQueries: [],
        readQueries: [{ id: 'CSAS_GOLD_4' }],
      },
    });
    // Another query may write it.
    expect(
      (
        await ksql(
          'INSERT INTO NAMED SELECT CUSTOMER_ID, ID, CAST(TOTAL AS STRING) FROM ORDERS PARTITION BY CUSTOMER_ID;',
        )
      )[0],
    ).toMatchObject({
      commandStatus: { queryId: 'INSERTQUERY_5' },
    });
    expect((await ksql('TERMINATE ALL;')).map(({ commandId }) => commandId)).toEqual([
      'terminate/CSAS_GOLD_4/execute',
      'terminate/INSERTQUERY_5/execute',
    ]);
    expect((await ksql('SHOW QUERIES;'))[0]).toMatchObject({ queries: [{ id: 'CSAS_BIG_0' }] });
  });

  it('one that is made anew by the same words begins anew', async () => {
    const counted =
      'CREATE TABLE COUNTED AS SELECT CUSTOMER_ID, COUNT(*) AS N FROM ORDERS GROUP BY CUSTOMER_ID;';
    await ksql(counted);
    await read(6);
    await ksql(`DROP TABLE COUNTED; ${counted}`);
    await read(8);
    expect(values('COUNTED').map((row) => (row as { N: number }).N)).toEqual([1, 1, 2, 2, 1, 1]);
  });

  it('take away what no longer fits, whose name is not free before that', async () => {
    await ksql(`CREATE STREAM A AS SELECT ID, TOTAL FROM ORDERS; INSERT INTO A SELECT ID, TOTAL FROM ORDERS;
      CREATE STREAM C AS SELECT TOTAL FROM A;`);
    await attempt.end();
    const without = table('orders', ORDERS.columns.slice(0, 2), [0], 2);
    Object.assign(rig.options, { tables: [without, CUSTOMERS] });
    attempt = await rig.attempt();
    const queries = async (): Promise<readonly unknown[]> => {
      const [listed] = await ksql('SHOW QUERIES;');
      return ((listed?.['queries'] ?? []) as readonly Entity[]).map(
        (each) => `${String(each['id'])} ${String(each['state'])}`,
      );
    };
    const others = ['CSAS_NAMED_3 RUNNING', 'CSAS_GOLD_4 RUNNING'];
    const all = ['CSAS_BIG_0', 'CSAS_A_5', 'INSERTQUERY_6', 'CSAS_C_7'].map((each) => `${each} ERROR`);
    expect(await queries()).toEqual([...others, ...all]);
    expect(await refusal('CREATE STREAM A AS SELECT ID FROM ORDERS;')).toMatch(
      /^40001 line 1:1: there is a stream A already, which is paused: .*no column TOTAL.*DROP STREAM A ends it$/,
    );
    expect(await refusal('CREATE STREAM BIG AS SELECT ID FROM ORDERS;')).toContain('in the settings file');
    expect(await refusal('DROP STREAM BIG;')).toContain('in the settings file');
    expect(await refusal('TERMINATE CSAS_BIG_0;')).toContain('in the settings file');
    expect(await refusal('TERMINATE CSAS_A_5;')).toContain('DROP A instead');
    expect(await refusal('DROP STREAM A DELETE TOPIC;')).toContain('A is paused, and its topic not known');
    expect(await ksql('TERMINATE INSERTQUERY_6; DROP STREAM C; DROP STREAM A;')).toMatchObject([
      { commandStatus: { status: 'SUCCESS', queryId: 'INSERTQUERY_6' } },
      { commandId: 'stream/`C`/drop', commandStatus: { message: 'Source `C` was dropped.' } },
      { commandId: 'stream/`A`/drop', commandStatus: { message: 'Source `A` was dropped.' } },
    ]);
    expect(await queries()).toEqual([...others, ...all.slice(0, 1)]);
    await ksql('CREATE STREAM A AS SELECT ID FROM ORDERS;');
    expect(await queries()).toEqual([...others, 'CSAS_A_8 RUNNING', ...all.slice(0, 1)]);
  });

  it('the settings’ own statements are the settings’', async () => {
    expect(await refusal('DROP STREAM BIG;')).toMatch(/^40001 line 1:1: BIG stands in the settings file/);
    expect(await refusal('TERMINATE CSAS_BIG_0;')).toMatch(
      /^40001 line 1:1: CSAS_BIG_0 stands in the settings file/,
    );
    expect(await refusal('TERMINATE NOBODY;')).toBe(
      '40001 line 1:1: there is no query NOBODY; there are CSAS_BIG_0, CSAS_NAMED_3, CSAS_GOLD_4',
    );
  });
});

describe('PAUSE and RESUME', () => {
  it('hold a query, the settings’ too, over a crash', async () => {
    await ksql('PAUSE CSAS_BIG_0;');
    await read(8);
    await attempt.end();
    attempt = await rig.attempt();
    await rig.load(attempt);
    await read(10);
    expect(values('BIG')).toEqual([]);
    expect((await ksql('SHOW QUERIES;'))[0]).toMatchObject({
      queries: [{ id: 'CSAS_BIG_0', state: 'PAUSED' }],
    });
    expect((await ksql('RESUME CSAS_BIG_0;'))[0]).toMatchObject({
      commandId: 'resume/CSAS_BIG_0/execute',
      commandStatus: { status: 'SUCCESS' },
    });
    await read(14);
    expect(values('BIG')).toHaveLength(4);
  });
});

describe('who may change something', () => {
  it('has the token, and without one nobody may', async () => {
    expect((await ksql('CREATE STREAM A AS SELECT ID FROM ORDERS;', {}, 'wrong'))[0]).toMatchObject({
      error_code: 40100,
    });
    await server[Symbol.asyncDispose]();
    await listen(null);
    expect(await refusal('CREATE STREAM A AS SELECT ID FROM ORDERS;')).toMatch(
      /^40300 Statements that change something/,
    );
    expect((await ksql('SHOW STREAMS;'))[0]).toMatchObject({ '@type': 'streams' });
  });
});

describe('the clients of ksqlDB', () => {
  it('npm ksqldb-client makes, asks and ends', async () => {
    // It takes the credentials and does not send them, as ksqldb-rx-client, which does not know of any.
    await server[Symbol.asyncDispose]();
    await listen(null, false);
    const client = new KsqldbClient({ host: 'http://127.0.0.1', port: server.port });
    await client.connect();
    try {
      const { data, status } = await client.executeStatement(
        'CREATE STREAM A AS SELECT ID FROM ORDERS EMIT CHANGES;',
      );
      expect([status, data]).toMatchObject([
        200,
        { rows: [{ commandStatus: { status: 'SUCCESS', queryId: 'CSAS_A_2' } }] },
      ]);
      await read(3);
      expect(values('A')).toHaveLength(1);
      expect(JSON.stringify(await client.listQueries())).toContain('CSAS_A_2');
      expect((await client.executeStatement('TERMINATE CSAS_A_2;')).status).toBe(200);
      expect((await client.executeStatement('DROP STREAM A;')).status).toBe(200);
      const rx = new RxClient(`http://127.0.0.1:${server.port}`);
      expect(await rx.statement('CREATE STREAM B AS SELECT ID FROM ORDERS;')).toMatchObject([
        { commandStatus: { status: 'SUCCESS', queryId: 'CSAS_B_3' } },
      ]);
      rx.close();
    } finally {
      await client.disconnect();
    }
  });
});
