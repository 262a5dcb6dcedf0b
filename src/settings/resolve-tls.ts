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
  const [ca, cert, key] = await Promise.all([pem('ca'), pem('cert'), pem('key')]);
  return { mode: tls.mode, ca, cert, key: key === null ? null : new Secret(key) };
}
