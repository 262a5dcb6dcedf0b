import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type FastifyReply, fastify } from 'fastify';
import { adminRoutes } from './admin.ts';
import { carriesToken, isPlainHost } from './access.ts';
import { readinessOf, verboseHealth } from './health.ts';
import { createMetricsText } from './metrics-text.ts';
import { RequestLimits } from './request-limits.ts';
import type { HttpServerOptions } from './server.ts';
import { pageRoutes } from './page.ts';

/** Open to all, so that probes need no secret. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz']);

/** Everything that answers. */
export async function createRoutes(
  options: HttpServerOptions,
): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  const { status, token, version } = options;
  const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString();
  // The server that listens is not fastify's own (see server.ts).
  const app = fastify({ serverFactory: (handler) => createServer(handler), bodyLimit: 64 * 1024 });
  const limits = new RequestLimits(() => performance.now());
  let metrics: ReturnType<typeof createMetricsText> | null = null;

  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    });
    const path = request.url.split('?', 1)[0]!;
    if (HEALTH_PATHS.has(path)) return;
    const wait = limits.request(request.ip);
    if (wait > 0) {
      await reply
        .code(429)
        .header('retry-after', wait)
        .send({ error: `Too many requests: wait ${wait} s.` });
      return;
    }
    if (token === null) {
      if (isPlainHost(request.headers.host)) return;
      await reply
        .code(421)
        .send({ error: 'Without http.token this answers to localhost and addresses only, not to names.' });
      return;
    }
    if (carriesToken(request.headers.authorization, token)) return;
    if (request.headers.authorization !== undefined) limits.wrongToken(request.ip);
    await reply
      .code(401)
      .header('www-authenticate', 'Basic realm="headwater", charset="UTF-8"')
      .send({ error: 'This needs the token of http.token, as "Authorization: Bearer …".' });
  });

  app.get('/livez', (_request, reply) => text(reply, 'ok'));
  app.get('/readyz', (_request, reply) => {
    const { ready, reasons } = readinessOf(status());
    return text(reply.code(ready ? 200 : 503), ready ? 'ready' : reasons.join('\n'));
  });
  app.get<{ Querystring: Readonly<Record<string, unknown>> }>('/healthz', (request, reply) => {
    const pipelines = status();
    const { ready, reasons } = readinessOf(pipelines);
    const verbose = Object.hasOwn(request.query, 'verbose');
    return reply
      .code(ready ? 200 : 503)
      .send({ ready, reasons, ...(verbose ? { pipelines: verboseHealth(pipelines) } : {}) });
  });
  app.get('/metrics', async (_request, reply) => {
    metrics ??= createMetricsText(version);
    return await reply.type(metrics.contentType).send(await metrics.render(status(), Date.now()));
  });
  app.get('/status', (_request, reply) => reply.send({ version, startedAt, pipelines: status() }));
  pageRoutes(app);
  if (options.administration !== null) adminRoutes(app, options.administration);
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .send({ error: 'Not here. There are /, /status, /metrics, /livez, /readyz and /healthz.' }),
  );
  await app.ready();
  return (request, response) => app.routing(request, response);
}

function text(reply: FastifyReply, body: string): FastifyReply {
  return reply.type('text/plain; charset=utf-8').send(`${body}\n`);
}
