import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import { redact } from '../settings/secret.ts';

/** The errors in whatever was thrown: settings come as an AggregateError of several. */
export function errorsOf(thrown: unknown): readonly HeadwaterError[] {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return thrown.errors.flatMap(errorsOf);
  return [asHeadwaterError(thrown)];
}

/** The largest exit code of them, as the most particular: 3 environment, 2 settings, 1 runtime. */
export function exitCodeOf(errors: readonly HeadwaterError[]): number {
  return Math.max(0, ...errors.map(({ entry }) => entry.exit));
}

/**
 * ```
 * error[settings.invalid] shop.yaml:4: unknown key source.tabels; did you mean source.tables?
 *   → Correct the named line; …
 * ```
 * Advice that several errors share stands once, after the last of them. With `json` one object a line.
 */
export function formatErrors(errors: readonly HeadwaterError[], json: boolean): string {
  const lines = json ? errors.map(asJson) : errors.map((error, index) => asText(error, errors[index + 1]));
  return redact(lines.map((line) => `${line}\n`).join(''));
}

function asText(error: HeadwaterError, next: HeadwaterError | undefined): string {
  const stack = error.code === 'internal.bug' ? `\n${stackOf(error)}` : '';
  const advice = error.advice === next?.advice ? '' : `\n  → ${error.advice}`;
  return `error[${error.code}] ${error.message}${stack}${advice}`;
}

function asJson(error: HeadwaterError): string {
  return JSON.stringify({
    level: 'error',
    time: new Date().toISOString(),
    code: error.code,
    msg: error.message,
    advice: error.advice,
    details: error.details,
    ...(error.code === 'internal.bug' ? { stack: stackOf(error) } : {}),
  });
}

/** Only a bug is worth a stack. */
function stackOf(error: HeadwaterError): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.stack ?? '';
}
