import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

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

/**
 * Whether a Host header is an address or localhost. Where no token is asked for, a name may be one that a web page
 * has pointed at this machine (DNS rebinding), so that the operator's browser reads it out to that page.
 */
export function isPlainHost(header: string | undefined): boolean {
  const host = (header ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(host) !== 0 || /^(.+\.)?localhost$/i.test(host);
}

/**
 * A browser sends the credentials of Basic to us from any site's page. It also says whose page that is; and other
 * sites' pages cannot send JSON, the only content type taken here, without asking first.
 */
export function isOwnPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const { origin, host } = headers;
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

/** Digests have one length, so neither the content nor the length of the token shows in the time. */
function same(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
