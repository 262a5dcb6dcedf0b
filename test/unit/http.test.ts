import { get as httpGet } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { PipelineRequest } from '../../src/daemon/requests.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Administration } from '../../src/http/admin.ts';
import { type HttpServer, startHttp } from '../../src/http/server.ts';
import { SILENT } from '../../src/observability/log.ts';
import { METRICS } from '../../src/observability/metrics.ts';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { RUNNING } from '../support/pipeline-status.ts';

let servers: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  servers = [];
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

async function serve(
  status: readonly PipelineStatus[],
  token: string | null = null,
  administration: Administration | null = null,
): Promise<(path: string, headers?: Record<string, string>, post?: object) => Promise<Answer>> {
  const server = await startHttp({
    listen: { host: '127.0.0.1', port: 0 },
    token,
    version: '1.2.3',
    status: () => status,
    administration,
    log: SILENT,
  });
  servers.push(server);
  return async (path, headers = {}, post) => {
    const request =
      post === undefined
        ? { headers }
        : {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(post),
          };
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, request);
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
}

test('without a token no name is answered to that a web page may have pointed here', async () => {
  await serve([RUNNING]);
  await serve([RUNNING], 'secret');
  const statusFor = (server: HttpServer, host: string, path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { host, authorization: 'Bearer secret' };
      httpGet({ host: '127.0.0.1', port: server.port, path, headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
  const [open, guarded] = servers as [HttpServer, HttpServer];
  for (const host of ['localhost', 'localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'a.localhost']) {
    expect(await statusFor(open, host, '/status')).toBe(200);
  }
  for (const host of [
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
  ]) {
    expect(await statusFor(open, host, '/status')).toBe(421);
    expect(await statusFor(open, host, '/metrics')).toBe(421);
    expect(await statusFor(open, host, '/livez')).toBe(200);
    expect(await statusFor(guarded, host, '/status')).toBe(200);
  }
});

test('who tries wrong tokens is refused for a while, also with the right one, but never the health paths', async () => {
  const get = await serve([RUNNING], 'the right token');
  const wrong = { authorization: 'Bearer a wrong token' };
  const codes: number[] = [];
  for (let n = 0; n < 30; n++) codes.push((await get('/status', wrong)).status);
  expect(codes.slice(0, 20)).toEqual(new Array<number>(20).fill(401));
  expect(codes).toContain(429);
  const refused = await get('/status', { authorization: 'Bearer the right token' });
  if (refused.status === 429) expect(refused.headers.get('retry-after')).toBe('1');
  expect((await get('/readyz', wrong)).status).toBe(200);
});

const QUERY: PipelineStatus['queries'][number] = {
  id: 'CSAS_A_0',
  statement: 'CREATE STREAM A AS SELECT * FROM B;',
  topic: 'A',
  records: 5,
  problems: 3,
  problemsByKind: { late: 2, cast: 1 },
  paused: null,
};

describe('readiness is progress', () => {
  const cases: readonly [what: string, change: Partial<PipelineStatus>, code: number, says: string][] = [
    ['streaming', {}, 200, 'ready\n'],
    ['snapshotting', { state: 'snapshotting' }, 200, 'ready\n'],
    ['standing by', { state: 'standby' }, 200, 'ready\n'],
    ['starting', { state: 'starting', lastError: null }, 503, 'shop is starting\n'],
    ['backing off', { state: 'backing-off' }, 503, 'shop waits before it tries again (source.unreachable)\n'],
    ['failed', { state: 'failed' }, 503, 'shop has failed (source.unreachable)\n'],
    ['stopping', { state: 'stopping' }, 503, 'shop is stopping\n'],
    ['stopped', { state: 'stopped' }, 503, 'no pipeline runs\n'],
    ['stuck', { progressing: false }, 503, 'shop: the source advances and nothing is delivered\n'],
  ];

  test.each(cases)('%s', async (_what, change, code, says) => {
    const get = await serve([{ ...RUNNING, ...change }]);
    expect(await get('/readyz')).toMatchObject({ status: code, text: says });
    expect((await get('/healthz')).status).toBe(code);
    expect((await get('/livez')).status).toBe(200);
  });

  test('one pipeline of several that is not ready makes the process not ready', async () => {
    const get = await serve([RUNNING, { ...RUNNING, name: 'crm', state: 'failed', lastError: null }]);
    expect(await get('/readyz')).toMatchObject({ status: 503, text: 'crm has failed\n' });
  });

  test('one that is complete does not count beside others', async () => {
    const get = await serve([RUNNING, { ...RUNNING, name: 'crm', state: 'stopped' }]);
    expect((await get('/readyz')).status).toBe(200);
  });
});

describe('what changes something', () => {
  const asked: { name: string; request: PipelineRequest }[] = [];
  const administration: Administration = {
    carryOut: (name, request) => {
      asked.push({ name, request });
      if (name === 'none') {
        return Promise.reject(
          new HeadwaterError('request.no-such-pipeline', 'The daemon runs shop, and not none.'),
        );
      }
      return Promise.resolve({ pipeline: name, action: request.action, tables: [] });
    },
    reload: () =>
      Promise.reject(
        new AggregateError([
          new HeadwaterError('settings.invalid', 'a.yaml:1: one'),
          new HeadwaterError('settings.invalid', 'a.yaml:2: two'),
        ]),
      ),
  };
  const path = '/admin/pipelines/shop/snapshot';

  test('is asked for by POST, as JSON', async () => {
    const ask = await serve([RUNNING], null, administration);
    expect(JSON.parse((await ask(path, {}, { tables: ['a.b'] })).text)).toEqual({
      pipeline: 'shop',
      action: 'snapshot',
      tables: [],
    });
    expect(asked.at(-1)).toEqual({
      name: 'shop',
      request: { action: 'snapshot', tables: ['a.b'], where: null },
    });
    expect((await ask(path)).status).toBe(404); // GET changes nothing
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const refused = await ask(path, { 'content-type': type }, { tables: ['a.b'] });
      expect(refused.status).toBe(415);
      expect(JSON.parse(refused.text).errors).toMatchObject([
        { code: 'request.invalid', advice: 'Send JSON, with Content-Type: application/json.' },
      ]);
    }
    const { port } = servers.at(-1)!;
    const raw = async (body: string, headers: Record<string, string>): Promise<unknown> => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        body: Buffer.from(body),
        headers,
      });
      return [answer.status, ((await answer.json()) as { errors: { code: string }[] }).errors[0]!.code];
    };
    const json = { 'content-type': 'application/json' };
    expect(await raw('{', json)).toEqual([400, 'request.invalid']);
    expect(await raw('', json)).toEqual([400, 'request.invalid']);
    expect(await raw(`"${'x'.repeat(70_000)}"`, json)).toEqual([413, 'request.invalid']);
    // Without any content type.
    expect(await raw('{}', {})).toEqual([415, 'request.invalid']);
    expect(asked).toHaveLength(1);
  });

  test('needs the token like all else', async () => {
    const ask = await serve([RUNNING], 'a long enough token', administration);
    expect((await ask(path, {}, { tables: ['a.b'] })).status).toBe(401);
    const headers = { authorization: 'Bearer a long enough token' };
    expect((await ask(path, headers, { tables: ['a.b'] })).status).toBe(200);
  });

  test('is not done for another site’s page', async () => {
    const ask = await serve([RUNNING], null, administration);
    const before = asked.length;
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      expect((await ask(path, headers, { tables: ['a.b'] })).status).toBe(403);
    }
    expect(asked).toHaveLength(before);
    expect((await ask(path, { 'sec-fetch-site': 'same-origin' }, { tables: ['a.b'] })).status).toBe(200);
  });

  test.each([
    ['/admin/pipelines/shop/dance', {}, 422, 'There is no action "dance".'],
    [path, {}, 422, 'The body of snapshot is not one: tables: '],
    [path, { tables: [] }, 422, 'The body of snapshot is not one: tables: '],
    ['/admin/pipelines/none/pause', {}, 404, 'The daemon runs shop, and not none.'],
    ['/admin/pipelines/shop/pause', { x: 1 }, 422, 'The body of pause is not one: '],
  ])('%s with %j is answered with what is wrong', async (place, body, status, message) => {
    const ask = await serve([RUNNING], null, administration);
    const answer = await ask(place, {}, body);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text).errors[0].message).toContain(message);
  });

  test('mistakes in settings files are all told', async () => {
    const ask = await serve([RUNNING], null, administration);
    const { status, text } = await ask('/admin/reload', {}, {});
    expect(status).toBe(422);
    expect(JSON.parse(text).errors).toMatchObject([
      { code: 'settings.invalid', message: 'a.yaml:1: one' },
      { message: 'a.yaml:2: two' },
    ]);
  });
});

describe('with a token', () => {
  const token = 'a long enough token';

  test.each(['/', '/status', '/metrics', '/nowhere', '/livez/..%2fstatus'])('%s needs it', async (path) => {
    const get = await serve([RUNNING], token);
    const basic = (password: string): string => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
    for (const authorization of [
      '',
      'Bearer',
      'Bearer a',
      `Token ${token}`,
      basic('a'),
      basic(token).slice(0, -8),
    ]) {
      const refused = await get(path, { authorization });
      expect(refused.status).toBe(401);
      expect(refused.text).not.toContain('shop');
    }
    expect((await get(path, { authorization: basic(token) })).status).not.toBe(401);
  });

  test('as Bearer', async () => {
    const get = await serve([RUNNING], token);
    expect((await get('/status', { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await get('/status', { authorization: `Bearer ${token}x` })).status).toBe(401);
  });

  test('the health paths don’t, and give no sentence away', async () => {
    const get = await serve([RUNNING], token);
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/readyz')).status).toBe(200);
    const { status, text } = await get('/healthz?verbose');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      ready: true,
      pipelines: [{ name: 'shop', state: 'streaming', lastError: { code: 'source.unreachable' } }],
    });
    expect(text).not.toContain('5432');
  });
});

describe('what it shows', () => {
  test('/status is the status', async () => {
    const get = await serve([RUNNING]);
    const { text } = await get('/status');
    expect(JSON.parse(text)).toMatchObject({ version: '1.2.3', pipelines: [RUNNING] });
  });

  test('/metrics tells of 1,000 tables, or as many as the scrape asks for, and adds up the others', async () => {
    const [table] = RUNNING.tables;
    const tables = Array.from({ length: 5000 }, (_, i) => ({ ...table!, table: `public.t${i}`, events: 2 }));
    const get = await serve([{ ...RUNNING, tables }]);
    const events = async (path: string): Promise<readonly string[]> =>
      (await get(path)).text.split('\n').filter((line) => line.startsWith('headwater_table_events_total{'));
    const some = await events('/metrics');
    expect(some).toHaveLength(1001);
    expect(some[0]).toContain('table="public.t0"');
    expect(some.at(-1)).toMatch(/table="\(others\)"\} 8000$/);
    expect(await events('/metrics?tables=5000')).toHaveLength(5000);
    expect(await events('/metrics?tables=0')).toEqual([expect.stringMatching(/"\(others\)"\} 10000$/)]);
    expect((await get('/metrics?tables=all')).status).toBe(400);
  });

  test('/metrics has every metric with the status’s figures', async () => {
    const get = await serve([
      { ...RUNNING, retainedBudgetBytes: 8192, headroomMs: 5_400_000, queries: [QUERY] },
    ]);
    const { text, headers } = await get('/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    const sample = (name: string, labels = ''): string | undefined =>
      new RegExp(`^${name}\\{pipeline="shop",connector="postgresql"${labels}\\} (.*)$`, 'm').exec(text)?.[1];
    expect(METRICS.filter(({ labels, name }) => labels === undefined && sample(name) === undefined)).toEqual(
      [],
    );
    expect(sample('headwater_total_number_of_events_seen')).toBe('21');
    expect(sample('headwater_milliseconds_behind_source')).toBe('12');
    expect(sample('headwater_remaining_table_count')).toBe('2');
    expect(sample('headwater_headroom_hours')).toBe('1.5');
    expect(sample('headwater_state', ',state="streaming"')).toBe('1');
    expect(sample('headwater_state', ',state="failed"')).toBe('0');
    expect(sample('headwater_table_events_total', ',table="public\\.\\\\"or\\\\"ders"')).toBe('21');
    expect(sample('headwater_query_records_total', ',query="CSAS_A_0"')).toBe('5');
    expect(sample('headwater_query_problems_total', ',query="CSAS_A_0",problem="late"')).toBe('2');
    expect(text).toContain('headwater_build_info{version="1.2.3"} 1');
    // Counted anew at each scrape, not added up.
    expect((await get('/metrics')).text).toContain(
      `headwater_records_total{pipeline="shop",connector="postgresql"} 8\n`,
    );
  });

  test('what is not known has no sample', async () => {
    const get = await serve([{ ...RUNNING, lagMs: null, retainedBytes: null, snapshot: null }]);
    const { text } = await get('/metrics');
    expect(text).toContain('headwater_milliseconds_behind_source{pipeline="shop",connector="postgresql"} -1');
    expect(text).not.toMatch(/^headwater_retained_bytes\{/m);
    expect(text).not.toMatch(/^headwater_total_table_count\{/m);
  });

  test('the page is files of its own, and may load nothing else', async () => {
    const get = await serve([RUNNING]);
    const { text, headers } = await get('/');
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
    // All it names is served, and is what it says.
    const named = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(named).toContain('page/page.js');
    for (const path of named) expect((await get(`/${path}`)).status, path).toBe(200);
    const script = await get('/page/page.js');
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    const imported = [...script.text.matchAll(/from '\.\/([^']+)'/g)].map(([, file]) => file!);
    expect(imported.length).toBeGreaterThan(1);
    for (const file of imported) expect((await get(`/page/${file}`)).status, file).toBe(200);
    expect((await get('/page/tsconfig.json')).status).toBe(404);
    expect((await get('/page/..%2froutes.ts')).status).toBe(404);
  });

  test('nothing else, and nothing but GET', async () => {
    const get = await serve([RUNNING]);
    expect((await get('/admin')).status).toBe(404);
    const { port } = servers[0]!;
    expect((await fetch(`http://127.0.0.1:${port}/status`, { method: 'POST', body: 'x' })).status).toBe(404);
  });
});

describe('an address that cannot be had', () => {
  test('taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const listen = { host: '127.0.0.1', port };
    await expect(
      startHttp({ listen, token: null, version: '', status: () => [], administration: null, log: SILENT }),
    ).rejects.toMatchObject({
      code: 'http.port-in-use',
      message: `http.listen: another process listens on 127.0.0.1:${port} already.`,
    });
    other.close();
  });

  test('not of this machine', async () => {
    const listen = { host: '192.0.2.1', port: 0 };
    await expect(
      startHttp({ listen, token: null, version: '', status: () => [], administration: null, log: SILENT }),
    ).rejects.toMatchObject({ code: 'http.cannot-listen' });
  });
});
