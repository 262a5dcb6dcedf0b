/** What changes something: `POST /admin/…`, for the command line and the buttons of the page. */
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { ReloadSummary } from '../daemon/daemon.ts';
import type { PipelineRequest, RequestResult } from '../daemon/requests.ts';
import { isOwnPage } from './access.ts';
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';

export interface Administration {
  /** Throws what daemon/requests.ts says. */
  carryOut(pipeline: string, request: PipelineRequest): Promise<RequestResult>;
  /** Throws what is wrong with the settings files; the daemon goes on with the old ones then. */
  reload(): Promise<ReloadAnswer>;
}

export interface ReloadAnswer extends ReloadSummary {
  /** Blocks of the settings that have changed and go by what they were until the process starts anew. */
  readonly atRestart: readonly string[];
}

const tables = z.array(z.string().min(1)).min(1);
const nothing = z.strictObject({});

const BODIES = {
  snapshot: z.strictObject({ tables, where: z.string().min(1).nullable().default(null) }),
  resync: z.strictObject({ tables }),
  'snapshot-stop': z.strictObject({ tables: z.array(z.string().min(1)).default([]) }),
  'snapshot-pause': nothing,
  'snapshot-resume': nothing,
  pause: nothing,
  resume: nothing,
} as const;

/** What operators ask for by POST: bodies are checked, and only JSON of our own page or of no page is taken. */
export function adminRoutes(app: FastifyInstance, administration: Administration): void {
  app.removeContentTypeParser('text/plain');
  app.addHook('preHandler', async (request, reply) => {
    if (request.method !== 'POST' || isOwnPage(request.headers)) return;
    await refuse(
      reply,
      403,
      new HeadwaterError('request.invalid', 'Another site’s page may not ask for this.'),
    );
  });
  // What is wrong before a route is asked: the content type, the size, JSON that is none.
  app.setErrorHandler<FastifyError>(async (error, _request, reply) => {
    const status = error.statusCode ?? 500;
    const code = status < 500 ? 'request.invalid' : 'internal.bug';
    const fix = status === 415 ? 'Send JSON, with Content-Type: application/json.' : undefined;
    await refuse(reply, status, new HeadwaterError(code, `${error.message.replace(/\.$/, '')}.`, { fix }));
  });
  app.post<{ Params: { readonly name: string; readonly action: string } }>(
    '/admin/pipelines/:name/:action',
    (request, reply) =>
      answer(reply, () => {
        const { name, action } = request.params;
        return administration.carryOut(name, readRequest(action, request.body));
      }),
  );
  app.post('/admin/reload', (_request, reply) => answer(reply, () => administration.reload()));
}

function readRequest(action: string, body: unknown): PipelineRequest {
  if (!isAction(action)) {
    throw new HeadwaterError('request.invalid', `There is no action ${JSON.stringify(action)}.`, {
      fix: `There are ${Object.keys(BODIES).join(', ')}.`,
    });
  }
  const parsed = BODIES[action].safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.join('.') ?? '';
    throw new HeadwaterError(
      'request.invalid',
      `The body of ${action} is not one: ${place === '' ? '' : `${place}: `}${issue?.message ?? 'it cannot be read'}.`,
    );
  }
  // Each schema gives what its action's request has.
  return { action, ...parsed.data } as PipelineRequest;
}

function isAction(action: string): action is keyof typeof BODIES {
  return Object.hasOwn(BODIES, action);
}

async function answer(reply: FastifyReply, work: () => Promise<object>): Promise<FastifyReply> {
  try {
    return await reply.send(await work());
  } catch (thrown) {
    const errors = (thrown instanceof AggregateError ? thrown.errors : [thrown]).map(asHeadwaterError);
    return refuse(reply, statusOf(errors[0]), ...errors);
  }
}

function refuse(reply: FastifyReply, status: number, ...errors: readonly HeadwaterError[]): FastifyReply {
  return reply
    .code(status)
    .send({ errors: errors.map(({ code, message, advice }) => ({ code, message, advice })) });
}

function statusOf(error: HeadwaterError | undefined): number {
  switch (error?.code) {
    case 'request.no-such-pipeline':
    case 'request.no-such-table':
      return 404;
    case 'request.not-running':
      return 409;
    case 'request.timed-out':
      return 503;
    case 'internal.bug':
    case undefined:
      return 500;
    default:
      return 422;
  }
}
