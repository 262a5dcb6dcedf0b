import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { keyName, type Path } from './document.ts';
import { errnoReason } from './errno.ts';
import type { ResolveContext } from './resolve.ts';
import { Secret } from './secret.ts';
import type { TlsSettings } from './settings.ts';

export interface TlsShape {
  readonly mode: TlsSettings['mode'];
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly key_passphrase?: string | undefined;
}

export const PLAIN_TEXT: TlsSettings = { mode: 'disable', ca: null, cert: null, key: null };

/** Reads the PEM files; a value that is PEM text itself (from `${env:…}`) is taken as it is. */
export async function resolveTls(
  tls: TlsShape | undefined,
  path: Path,
  context: ResolveContext,
): Promise<TlsSettings> {
  if (tls === undefined) return PLAIN_TEXT;
  const { document } = context;
  const pem = async (part: 'ca' | 'cert' | 'key'): Promise<string | null> => {
    const value = tls[part];
    if (value === undefined) return null;
    const at = [...path, part];
    let text = value;
    if (!value.startsWith('-----BEGIN ')) {
      try {
        text = await readFile(resolvePath(context.directory, value), 'utf8');
      } catch (error) {
        document.problem(
          'settings.invalid',
          at,
          `the file of ${keyName(at)} cannot be used: ${errnoReason(error)}`,
        );
        return null;
      }
    }
    if (!text.includes('-----BEGIN ')) {
      document.problem('settings.invalid', at, `the file of ${keyName(at)} holds no PEM text`);
    }
    return text;
  };
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    document.problem('settings.invalid', path, `${keyName(path)} needs cert and key together, or neither`);
  }
  if (tls.key === undefined && tls.key_passphrase !== undefined) {
    document.problem(
      'settings.invalid',
      [...path, 'key_passphrase'],
      `${keyName([...path, 'key_passphrase'])} has no key to open: set ${keyName([...path, 'key'])} too`,
    );
  }
  const [ca, cert, key] = await Promise.all([pem('ca'), pem('cert'), pem('key')]);
  return { mode: tls.mode, ca, cert, key: key === null ? null : usableKey(key, tls, path, context) };
}

/** The key without its passphrase, as every driver takes it; one that nobody could use is a problem of the settings. */
function usableKey(
  pem: string,
  { key_passphrase: passphrase }: TlsShape,
  path: Path,
  { document }: ResolveContext,
): Secret {
  const at = [...path, 'key'];
  const kept = passphrase === undefined ? undefined : new Secret(passphrase);
  try {
    const key = createPrivateKey({ key: pem, passphrase: kept?.reveal() ?? '' });
    return new Secret(ENCRYPTED.test(pem) ? key.export({ type: 'pkcs8', format: 'pem' }).toString() : pem);
  } catch {
    const encrypted = ENCRYPTED.test(pem);
    const sentence = !encrypted
      ? `the file of ${keyName(at)} holds no private key that can be read`
      : kept === undefined
        ? `the key in ${keyName(at)} is encrypted, and ${keyName([...path, 'key_passphrase'])} is not set`
        : `${keyName([...path, 'key_passphrase'])} does not open the key in ${keyName(at)}`;
    document.problem('settings.invalid', at, sentence);
    return new Secret(pem);
  }
}

/** PKCS#8, or the older form that OpenSSL still writes with `-traditional`. */
const ENCRYPTED = /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;
