import { HeadwaterError } from '../../errors/headwater-error.ts';

/** System change numbers pass 2^53: bigint inside, decimal text outside. */
export function parseScn(text: unknown): bigint | null {
  return typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : null;
}

/** For answers of the server. */
export function serverScn(text: unknown): bigint {
  const scn = parseScn(text);
  if (scn === null) throw new HeadwaterError('internal.bug', 'The server sent something else than an SCN.');
  return scn;
}

export function least(...scns: readonly bigint[]): bigint {
  return scns.reduce((a, b) => (a < b ? a : b));
}

export function greatest(...scns: readonly bigint[]): bigint {
  return scns.reduce((a, b) => (a > b ? a : b));
}
