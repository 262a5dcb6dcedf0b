/**
 * What is made of the driver's answers behind a login: a stand-in gives them as the driver's documentation says. That the
 * driver does is for the live suite.
 */
import type { Connection, ExecuteOptions, ResultColumnMetadata } from 'oracledb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { connectByDriver, resultColumn } from '../../src/readers/oracle/session/driver-session.ts';
import type { OracleSession } from '../../src/readers/oracle/session/oracle-session.ts';

const { driver } = vi.hoisted(() => ({
  driver: {
    OUT_FORMAT_ARRAY: 4001,
    DB_TYPE_NUMBER: { num: 1 },
    DB_TYPE_CLOB: { num: 2 },
    DB_TYPE_NCLOB: { num: 3 },
    DB_TYPE_BLOB: { num: 4 },
    DB_TYPE_LONG: { num: 5 },
    DB_TYPE_VARCHAR: { num: 6 },
    DB_TYPE_RAW: { num: 7 },
    STRING: { num: 8 },
    BUFFER: { num: 9 },
    getConnection: vi.fn<(options: unknown) => Promise<unknown>>(),
  },
}));
vi.mock('oracledb', () => ({ default: driver }));

const never = new AbortController().signal;
const settings = {
  hosts: [{ host: 'db', port: 1521 }],
  service: 'orclpdb',
  user: 'cdc',
  password: 'secret',
  tls: null,
  connectTimeoutMs: 1_500,
  queryTimeoutMs: 60_000,
};
const broken = Object.assign(new Error('NJS-500: connection was closed\nORA-03113: end-of-file'), {
  code: 'NJS-500',
  errorNum: 3113,
});

class StandIn implements Connection {
  callTimeout = 0;
  readonly calls: { readonly sql: string; readonly binds: unknown; readonly options: ExecuteOptions }[] = [];
  rows: unknown[][] = [];
  error: Error | null = null;
  metaData: readonly ResultColumnMetadata[] | undefined;
  fetched: number[] = [];
  closed: unknown[] = [];
  closedCursors = 0;
  breaks = 0;

  async execute(
    ...[sql, binds, options]: Parameters<Connection['execute']>
  ): ReturnType<Connection['execute']> {
    await Promise.resolve(this.calls.push({ sql, binds, options }));
    if (sql === 'refused') throw broken;
    if (options.resultSet !== true || sql === 'without rows') return {};
    return {
      resultSet: {
        getRows: async (count) => {
          await Promise.resolve(this.fetched.push(count));
          if (this.error !== null) throw this.error;
          return this.rows.splice(0, count);
        },
        close: async () => {
          this.closedCursors++;
          return Promise.reject(broken);
        },
      },
    };
  }

  async getStatementInfo(sql: string): ReturnType<Connection['getStatementInfo']> {
    await Promise.resolve();
    if (sql === 'refused') throw broken;
    return this.metaData === undefined ? {} : { metaData: this.metaData };
  }

  async break(): Promise<void> {
    this.breaks++;
    return Promise.reject(broken);
  }

  async close(options?: unknown): Promise<void> {
    this.closed.push(options);
    return Promise.reject(broken);
  }
}

async function login(): Promise<{ readonly session: OracleSession; readonly server: StandIn }> {
  const server = new StandIn();
  driver.getConnection.mockResolvedValue(server);
  return { session: await connectByDriver(settings)('utility', never), server };
}

afterEach(() => {
  driver.getConnection.mockReset();
});

test('a connection that is silent for long is kept alive, and one call may be so for no longer than is set', async () => {
  const { server } = await login();
  expect(driver.getConnection).toHaveBeenCalledExactlyOnceWith({
    user: 'cdc',
    password: 'secret',
    connectString: 'tcp://db:1521/orclpdb',
    expireTime: 1,
    connectTimeout: 2,
    transportConnectTimeout: 2,
    retryCount: 0,
  });
  expect(server.callTimeout).toBe(60_000);
});

test('a login that comes when nobody wants it any more is dropped', async () => {
  const server = new StandIn();
  const slow = Promise.withResolvers<unknown>();
  driver.getConnection.mockReturnValue(slow.promise);
  const stop = new AbortController();
  const connecting = connectByDriver(settings)('utility', stop.signal);
  await vi.waitFor(() => expect(driver.getConnection).toHaveBeenCalled());
  stop.abort(new Error('stopped'));
  await expect(connecting).rejects.toThrow('stopped');
  slow.resolve(server);
  await vi.waitFor(() => expect(server.closed).toEqual([{ drop: true }]));
});

describe('a statement', () => {
  test('without rows', async () => {
    const { session, server } = await login();
    await session.execute('a');
    await session.execute('b', { x: '1' });
    expect(server.calls.map(({ sql, binds }) => [sql, binds])).toEqual([
      ['a', {}],
      ['b', { x: '1' }],
    ]);
    expect(server.calls[0]!.options).toMatchObject({ outFormat: driver.OUT_FORMAT_ARRAY });
    expect(server.calls[0]!.options.resultSet).toBeUndefined();
    await expect(session.execute('refused')).rejects.toMatchObject({ ora: [3113], njs: [500] });
  });

  test('with few rows: to its end, and its cursor is closed however it ends', async () => {
    const { session, server } = await login();
    server.rows = Array.from({ length: 2_001 }, (_, i) => [String(i)]);
    const rows = await session.query('a', { x: null });
    expect(rows).toHaveLength(2_001);
    expect(server.calls[0]!.binds).toEqual({ x: null });
    expect(server.closedCursors).toBe(1);
    server.error = broken;
    await expect(session.query('a')).rejects.toMatchObject({ ora: [3113] });
    expect(server.closedCursors).toBe(2);
    await expect(session.query('without rows')).rejects.toMatchObject({ njs: [19] });
    await expect(session.query('refused')).rejects.toMatchObject({ ora: [3113] });
  });

  test('with many: so many at a time, from the server, too', async () => {
    const { session, server } = await login();
    server.rows = [['1'], ['2'], ['3']];
    const cursor = await session.open('a', {}, 2);
    expect(server.calls[0]!.options).toMatchObject({ resultSet: true, fetchArraySize: 2, prefetchRows: 2 });
    expect(await cursor.next(2)).toEqual([['1'], ['2']]);
    expect(await cursor.next(2)).toEqual([['3']]);
    expect(await cursor.next(2)).toEqual([]);
    await cursor.close();
    await session.open('b');
    expect(server.calls[1]!.options).toMatchObject({ fetchArraySize: 2_000 });
  });

  test('numbers come as text, and LOBs whole', async () => {
    const { session, server } = await login();
    await session.execute('a');
    const handler = server.calls[0]!.options.fetchTypeHandler!;
    const { STRING, BUFFER, ...types } = driver;
    expect(handler({ dbType: types.DB_TYPE_NUMBER })).toEqual({ type: STRING });
    expect(handler({ dbType: types.DB_TYPE_CLOB })).toEqual({ type: STRING });
    expect(handler({ dbType: types.DB_TYPE_NCLOB })).toEqual({ type: STRING });
    expect(handler({ dbType: types.DB_TYPE_LONG })).toEqual({ type: STRING });
    expect(handler({ dbType: types.DB_TYPE_BLOB })).toEqual({ type: BUFFER });
    expect(handler({ dbType: types.DB_TYPE_VARCHAR })).toBeUndefined();
    expect(handler({ dbType: types.DB_TYPE_RAW })).toBeUndefined();
  });

  test('values are texts, bytes or NULL, and of anything else the type is told alone', async () => {
    const { session, server } = await login();
    const bytes = Buffer.from('x');
    server.rows = [['text', bytes, null, undefined, 1.5, true]];
    expect(await session.query('a')).toEqual([['text', bytes, null, null, '1.5', 'true']]);
    server.rows = [[new Date(0)]];
    await expect(session.query('a')).rejects.toMatchObject({ njs: [119], message: 'NJS-119' });
  });

  test('an error without numbers, and one that is none of the driver’s', async () => {
    const { session, server } = await login();
    server.error = new Error('socket hang up');
    await expect(session.query('a')).rejects.toMatchObject({ message: 'an error without a number' });
    server.error = new DOMException('stopped', 'AbortError');
    await expect(session.query('a')).rejects.toBe(server.error);
  });
});

test('a call is broken off, and a connection dropped, without a word of what becomes of it', async () => {
  const { session, server } = await login();
  session.interrupt();
  expect(server.breaks).toBe(1);
  await session[Symbol.asyncDispose]();
  expect(server.closed).toEqual([{ drop: true }]);
});

describe('columns of a query', () => {
  test('as the catalogue would have them', async () => {
    const { session, server } = await login();
    server.metaData = [
      { name: 'N', dbTypeName: 'NUMBER', precision: 9, scale: 0 },
      { name: 'V', dbTypeName: 'VARCHAR2', byteSize: 40 },
    ];
    expect(await session.columns('SELECT n, v FROM t')).toEqual([
      { name: 'N', dataType: 'NUMBER', bytes: null, precision: 9, scale: 0 },
      { name: 'V', dataType: 'VARCHAR2', bytes: 40, precision: null, scale: null },
    ]);
    server.metaData = undefined;
    expect(await session.columns('BEGIN NULL; END;')).toEqual([]);
    await expect(session.columns('refused')).rejects.toMatchObject({ ora: [3113] });
  });

  test.each<[ResultColumnMetadata, Partial<ReturnType<typeof resultColumn>>]>([
    [
      { name: 'C', dbTypeName: 'NUMBER', precision: 126, scale: -127 },
      { dataType: 'FLOAT', precision: 126 },
    ],
    [
      { name: 'C', dbTypeName: 'NUMBER', precision: 0, scale: -127 },
      { precision: null, scale: null },
    ],
    [
      { name: 'C', dbTypeName: 'NUMBER' },
      { precision: null, scale: null },
    ],
    [
      { name: 'C', dbTypeName: 'TIMESTAMP', precision: 6 },
      { precision: null, scale: 6 },
    ],
    [{ name: 'C', dbTypeName: 'TIMESTAMP WITH TIME ZONE' }, { scale: 0 }],
    [
      { name: 'C', dbTypeName: 'DATE' },
      { bytes: null, precision: null, scale: null },
    ],
  ])('%o', (column, expected) => {
    expect(resultColumn(column)).toMatchObject(expected);
  });
});
