import type { Log } from './log.ts';

/** How one commit that holds rows went. Times in milliseconds since 1970. */
export interface TracedBatch {
  readonly pipeline: string;
  /** As in `headwater offsets`. */
  readonly position: string;
  readonly rows: number;
  /** When the first of its rows came to the encoders. */
  readonly since: number;
  /** When no more could join it. */
  readonly begunAt: number;
  readonly endedAt: number;
  /** When the last of its transactions was committed at the source, by the source's clock; null where unknown. */
  readonly sourceCommitAt: number | null;
  /** Why it was not delivered; null where it was. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export interface BatchTraces extends AsyncDisposable {
  trace(batch: TracedBatch): void;
}

/**
 * Traces of commits, where the environment names a collector by the variables of the OpenTelemetry specification
 * (OTEL_EXPORTER_OTLP_ENDPOINT and its kin); only then are the libraries loaded. Null where it names none, and, with a
 * warning, where the share to be traced cannot be read: traces stop nothing.
 */
export async function openBatchTraces(
  env: NodeJS.ProcessEnv,
  version: string,
  log: Log,
): Promise<BatchTraces | null> {
  if (!switchedOn(env)) return null;
  const share = tracedShare(env);
  if (share === null) {
    log.warn(
      { sampler: env['OTEL_TRACES_SAMPLER'], argument: env['OTEL_TRACES_SAMPLER_ARG'] },
      'no traces: OTEL_TRACES_SAMPLER is to be always_on, always_off or traceidratio (also with parentbased_ before it), and OTEL_TRACES_SAMPLER_ARG a number from 0 to 1',
    );
    return null;
  }
  const { OtlpTraces } = await import('./otlp-traces.ts');
  log.info({ share }, 'commits are traced');
  return new OtlpTraces({ share, version, log });
}

function switchedOn(env: NodeJS.ProcessEnv): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false;
  if (!['otlp', undefined, ''].includes(env['OTEL_TRACES_EXPORTER'])) return false;
  return ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'].some(
    (name) => (env[name] ?? '') !== '',
  );
}

/** From 0 to 1; a commit has no parent, so `parentbased_` changes nothing. */
function tracedShare(env: NodeJS.ProcessEnv): number | null {
  const sampler = (env['OTEL_TRACES_SAMPLER'] || 'always_on').replace(/^parentbased_/, '');
  if (sampler === 'always_on') return 1;
  if (sampler === 'always_off') return 0;
  if (sampler !== 'traceidratio') return null;
  const share = Number(env['OTEL_TRACES_SAMPLER_ARG'] || '1');
  return share >= 0 && share <= 1 ? share : null;
}

/** What the environment tells of a login at the collector: nothing that may be shown. */
export function collectorSecrets(env: NodeJS.ProcessEnv): readonly string[] {
  const headers = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']
    .flatMap((name) => (env[name] ?? '').split(','))
    .map((header) => decoded(header.slice(header.indexOf('=') + 1).trim()));
  const passwords = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].map((name) => {
    const address = env[name] ?? '';
    return URL.canParse(address) ? decoded(new URL(address).password) : '';
  });
  // `Bearer …` too: what follows the scheme.
  const values = headers.flatMap((value) => [value, value.replace(/^\S+ +/, '')]);
  return [...values, ...passwords].filter((each) => each !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
