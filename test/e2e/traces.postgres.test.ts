/** Traces reach a collector that speaks OTLP over HTTP; what the collector does, or an odd setting, stops nothing. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { testDatabase } from '../support/servers.ts';
import { headwater, logLines, pipelineFile, workspace } from './headwater.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
  readonly status: { readonly code: number };
}

/** What `POST /v1/traces` carries, as OTLP's JSON has it. */
interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Span['attributes'] };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

test('a commit is a trace: what was collected, and its being made durable', async () => {
  await using collector = await startCollector(200);
  await using work = await workspace();
  await using database = await testDatabase();
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)');
  const file = await pipelineOn(work, database, 'traced');
  const { exit } = await headwater(['run', '--until-caught-up', file], {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=shop',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  });
  expect(exit).toBe(0);
  expect(collector.requests.every(({ path, tenant }) => path === '/v1/traces' && tenant === 'shop')).toBe(
    true,
  );
  const exported = collector.requests.flatMap(({ body }) => body.resourceSpans);
  expect(textsOf(exported[0]!.resource.attributes)).toMatchObject({
    'service.name': 'headwater',
    'deployment.environment.name': 'test',
  });
  const spans = exported.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  const batches = spans.filter(({ name }) => name === 'batch');
  const rows = batches.map(({ attributes }) => Number(textsOf(attributes)['messaging.batch.message_count']));
  expect(rows.reduce((sum, each) => sum + each, 0)).toBe(3);
  expect(new Set(batches.map(({ traceId }) => traceId)).size).toBe(batches.length);
  for (const batch of batches) {
    expect(textsOf(batch.attributes)).toMatchObject({ 'headwater.pipeline': 'traced' });
    expect(batch.status.code).not.toBe(2);
    const inside = spans.filter(({ parentSpanId }) => parentSpanId === batch.spanId);
    expect(inside.map(({ name }) => name).toSorted()).toEqual(['collect', 'commit']);
    const [collect, commit] = inside.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(collect!.endTimeUnixNano).toBe(commit!.startTimeUnixNano);
    expect([collect!.startTimeUnixNano, commit!.endTimeUnixNano]).toEqual([
      batch.startTimeUnixNano,
      batch.endTimeUnixNano,
    ]);
  }
});

test.each([
  ['a collector that refuses them', {}, 'traces could not be delivered'],
  ['a sampler that there is not', { OTEL_TRACES_SAMPLER: 'sometimes' }, 'no traces: OTEL_TRACES_SAMPLER'],
])('%s costs traces and a warning', async (_what, env, warning) => {
  await using collector = await startCollector(400);
  await using work = await workspace();
  await using database = await testDatabase();
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  const file = await pipelineOn(work, database, 'untraced');
  const { exit, stderr } = await headwater(['run', '--until-caught-up', file], {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...env,
  });
  expect(exit).toBe(0);
  const warnings = logLines(stderr).filter(({ level }) => level === 'warn');
  expect(warnings.some(({ msg }) => msg.startsWith(warning))).toBe(true);
});

async function pipelineOn(
  work: Awaited<ReturnType<typeof workspace>>,
  { url }: { readonly url: string },
  name: string,
): Promise<string> {
  return work.write(
    `${name}.yaml`,
    pipelineFile({ name, url, tables: ['public.t'], path: work.path('out') }),
  );
}

async function startCollector(status: number): Promise<
  AsyncDisposable & {
    readonly url: string;
    readonly requests: readonly {
      readonly path: string;
      readonly tenant: unknown;
      readonly body: Exported;
    }[];
  }
> {
  const requests: { path: string; tenant: unknown; body: Exported }[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Exported;
      requests.push({ path: request.url!, tenant: request.headers['x-tenant'], body });
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    })();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function textsOf(attributes: Span['attributes']): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
