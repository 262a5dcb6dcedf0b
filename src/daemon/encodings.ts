import type { Encoding } from '../emitter/encoders/encoder.ts';
import { jsonEncoding } from '../emitter/encoders/json.ts';
import type { Refusals } from '../emitter/paused-tables.ts';
import type { Sink } from '../emitter/sink.ts';
import type { Log } from '../observability/log.ts';
import type { RegistryClient } from '../schema/registry/registry-client.ts';
import type { RegistrySettings, Settings } from '../settings/settings.ts';

/** Of one request. */
const REQUEST_TIMEOUT_MS = 10_000;

/** How the settings want records to be written. */
export async function openEncoding(
  { emit }: Settings,
  run: {
    /** As the sink takes it. */
    readonly json: Sink['json'];
    readonly state: ReadonlyMap<string, string>;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly encoding: Encoding; readonly refusals: Refusals | null }> {
  const { format, profile, registry } = emit;
  if (registry === null || format === 'json' || format === 'json-with-schema') {
    return {
      encoding: jsonEncoding({ profile, withSchema: format === 'json-with-schema', rows: run.json }),
      refusals: null,
    };
  }
  const { SchemaRegistrar } = await import('../schema/registry/schema-registrar.ts');
  const { registeredEncoding } = await import('../emitter/encoders/registered.ts');
  const registrar = new SchemaRegistrar(await registryClient(registry, run.log), registry, run);
  const { names, references } = registry;
  return {
    encoding: registeredEncoding({ format, profile, names, references, registrar }),
    refusals: registrar,
  };
}

export async function registryClient(registry: RegistrySettings, log: Log): Promise<RegistryClient> {
  const { RegistryClient: Client } = await import('../schema/registry/registry-client.ts');
  const { urls, auth, tls, timeoutMs } = registry;
  return new Client(
    {
      urls,
      auth:
        auth.kind === 'basic'
          ? { kind: 'basic', username: auth.username, password: auth.password.reveal() }
          : auth,
      tls: {
        mode: tls.mode === 'disable' ? 'verify-full' : tls.mode,
        ca: tls.ca ?? undefined,
        cert: tls.cert ?? undefined,
        key: tls.key?.reveal(),
      },
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      patienceMs: timeoutMs,
    },
    log,
  );
}
