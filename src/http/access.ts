import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether an Authorization header carries the token: as `Bearer`, or as the password of `Basic`, which is what a
 * browser can send. Takes the same time for every wrong token.
 */
export function carriesToken(header: string | undefined, token: string): boolean {
  const [scheme = '', ...rest] = (header ?? '').split(' ');
  const credentials = rest.join(' ');
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return same(credentials, token);
    case 'basic': {
      const [, ...password] = Buffer.from(credentials, 'base64').toString('utf8').split(':');
      return same(password.join(':'), token);
    }
    default:
      return false;
  }
}

/** Digests have one length, so neither the content nor the length of the token shows in the time. */
function same(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
