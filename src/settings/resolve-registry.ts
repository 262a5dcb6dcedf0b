import { resolve as resolvePath } from 'node:path';
import type { Path } from './document.ts';
import { durationInMs } from './leaves.ts';
import { resolveTls } from './resolve-tls.ts';
import type { ResolveContext } from './resolve.ts';
import type { FileShape } from './schema.ts';
import { Secret } from './secret.ts';
import type { RegistrySettings } from './settings.ts';
import { readToken } from './token-file.ts';

type RegistryShape = NonNullable<FileShape['emit']['registry']>;

const PATH: Path = ['emit', 'registry'];

/** Null where neither the format needs a registry nor a statement may. */
export async function resolveRegistry(
  { emit, enrich }: FileShape,
  context: ResolveContext,
): Promise<RegistrySettings | null> {
  const { document } = context;
  const { format, registry } = emit;
  const needed = format === 'avro' || format === 'protobuf' || format === 'json-schema';
  if (registry === undefined) {
    if (needed)
      document.problem(
        'settings.invalid',
        ['emit', 'format'],
        `emit.format ${format} needs emit.registry with a url`,
      );
    return null;
  }
  if (!needed && enrich === undefined) {
    const message = `emit.registry is for the formats avro, protobuf and json-schema, and for statements of enrich.sql; emit.format is ${format}`;
    document.problem('settings.invalid', PATH, message, { atKey: true });
    return null;
  }
  const urls = typeof registry.url === 'string' ? [registry.url] : registry.url;
  const wrong = urls.map(urlProblem).find((problem) => problem !== null);
  if (wrong !== undefined)
    document.problem('settings.invalid', [...PATH, 'url'], `emit.registry.url ${wrong}`);
  if (registry.tls !== undefined && !urls.every((url) => url.startsWith('https://'))) {
    document.problem(
      'settings.invalid',
      [...PATH, 'tls'],
      'emit.registry.tls needs a url that begins with https://',
      {
        atKey: true,
      },
    );
  }
  if (registry.references && format !== 'avro') {
    document.problem(
      'settings.invalid',
      [...PATH, 'references'],
      'emit.registry.references is for emit.format: avro',
    );
  }
  return {
    urls,
    auth: resolveAuth(registry.auth, context),
    tls: await resolveTls(registry.tls, [...PATH, 'tls'], context),
    subject: registry.subject,
    register: registry.register,
    compatibility: registry.compatibility ?? null,
    onIncompatible: registry.on_incompatible,
    names: registry.names,
    references: registry.references,
    timeoutMs: durationInMs(registry.timeout),
  };
}

/** What is wrong with it, without any of its text. */
function urlProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'is not a URL that begins with http:// or https://';
  if (url.username !== '' || url.password !== '')
    return 'holds a user or password; they stand in emit.registry.auth';
  return url.search === '' && url.hash === '' ? null : 'has a part behind its path';
}

function resolveAuth(
  auth: RegistryShape['auth'],
  { document, directory }: ResolveContext,
): RegistrySettings['auth'] {
  if (auth === undefined) return { kind: 'none' };
  const { username, password, token, token_file: file } = auth;
  if (username !== undefined && password !== undefined && token === undefined && file === undefined)
    return { kind: 'basic', username, password: new Secret(password) };
  if (username === undefined && password === undefined && (token === undefined) !== (file === undefined)) {
    if (file !== undefined)
      return {
        kind: 'bearer',
        token: () => readToken(resolvePath(directory, file), 'emit.registry.auth.token_file'),
      };
    const kept = new Secret(token!);
    return { kind: 'bearer', token: () => Promise.resolve(kept.reveal()) };
  }
  document.problem(
    'settings.invalid',
    [...PATH, 'auth'],
    'emit.registry.auth takes username and password, or one of token and token_file',
  );
  return { kind: 'none' };
}
