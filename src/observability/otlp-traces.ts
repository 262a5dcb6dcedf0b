import { diag, DiagLogLevel, ROOT_CONTEXT, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TraceIdRatioBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { BatchTraces, TracedBatch } from './batch-traces.ts';
import type { Log } from './log.ts';

export interface OtlpOptions {
  /** Of the commits, from 0 to 1. */
  readonly share: number;
  readonly version: string;
  readonly log: Log;
}

/**
 * Sends traces by OTLP over HTTP. Address, headers, certificates, time-outs and what describes the service come from
 * the environment, which the exporter reads by itself. A collector that is away costs traces and a warning.
 */
export class OtlpTraces implements BatchTraces {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #warn: (reason: string) => void;

  constructor({ share, version, log }: OtlpOptions) {
    const warn = (text: string): void =>
      log.warn({ reason: reasonOf(text) }, 'traces could not be delivered');
    this.#warn = warn;
    const quiet = (): void => {};
    diag.setLogger(
      { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.name': 'headwater', 'service.version': version }).merge(
        detectResources({ detectors: [envDetector] }),
      ),
      sampler: new TraceIdRatioBasedSampler(share),
      spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
    });
    this.#tracer = this.#provider.getTracer('headwater', version);
  }

  /** One trace: `batch`, and in it `collect` (rows are encoded and joined) and `commit` (the sink makes them durable). */
  trace({ pipeline, position, rows, since, begunAt, endedAt, sourceCommitAt, failure }: TracedBatch): void {
    const attributes = {
      'headwater.pipeline': pipeline,
      'headwater.position': position,
      'messaging.batch.message_count': rows,
      ...(sourceCommitAt === null
        ? {}
        : { 'headwater.source.commit_time': new Date(sourceCommitAt).toISOString() }),
    };
    const batch = this.#tracer.startSpan('batch', { startTime: since, attributes, root: true });
    const inside = trace.setSpan(ROOT_CONTEXT, batch);
    this.#tracer.startSpan('collect', { startTime: since }, inside).end(begunAt);
    const commit = this.#tracer.startSpan('commit', { startTime: begunAt }, inside);
    if (failure !== null) {
      for (const span of [commit, batch]) {
        span.setAttribute('error.type', failure.code);
        span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
      }
    }
    commit.end(endedAt);
    batch.end(endedAt);
  }

  /** Sends what is left, if the collector takes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#provider.shutdown().catch((error: unknown) => this.#warn(String(error)));
  }
}

/**
 * The exporter gives errors as JSON, with all that the collector has answered: it may repeat what it was sent, the login
 * too. Their message is enough.
 */
function reasonOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Words of its own, then.
  }
  return text.split('\n', 1)[0]!;
}
