import type { HeadwaterError } from '../errors/headwater-error.ts';

/** What a log line says of an error. A bug of ours comes with its stack; anything else explains itself. */
export function errorFields(error: HeadwaterError): object {
  const { code, details, advice } = error;
  if (code !== 'internal.bug') return { code, details, advice };
  const cause = error.cause instanceof Error ? error.cause : error;
  return { code, details, advice, stack: cause.stack };
}
