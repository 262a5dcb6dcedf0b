import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { keyName, type Path, type SettingsDocument } from './document.ts';
import { errnoReason } from './errno.ts';
import type { SchemaNode } from './schema-walk.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ReferenceContext {
  readonly document: SettingsDocument;
  readonly environment: Environment;
  /** Relative paths are relative to it: the settings file's own directory. */
  readonly directory: string;
  readonly schemaAt: (path: Path) => SchemaNode | null;
}

const REFERENCE = /\$(\$?)\{([^}]*)\}/g;

/**
 * The document's value with every `${env:NAME}` and `${file:PATH}` followed; `$${` is a literal `${`. This comes
 * after YAML has been parsed, so that what stands in a variable or a file can never become structure. What has
 * nothing behind it becomes a problem of the document, and undefined in the result.
 */
export async function followReferences(context: ReferenceContext): Promise<unknown> {
  return await follow(context.document.value, [], context);
}

async function follow(value: unknown, path: Path, context: ReferenceContext): Promise<unknown> {
  if (typeof value === 'string') return await followText(value, path, context);
  if (Array.isArray(value)) {
    return await Promise.all(value.map((item, index) => follow(item, [...path, index], context)));
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      async ([key, item]) => [key, await follow(item, [...path, key], context)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }
  return value;
}

async function followText(text: string, path: Path, context: ReferenceContext): Promise<unknown> {
  if (!text.includes('${')) return text;
  let result = '';
  let end = 0;
  let missing = false;
  for (const match of text.matchAll(REFERENCE)) {
    result += text.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[1] === '$') {
      result += match[0].slice(1);
      continue;
    }
    const value = await lookUp(match[2]!, path, context);
    if (value === null) missing = true;
    else result += value;
  }
  if (missing) return undefined;
  result += text.slice(end);
  const whole = /^\$\{[^}]*\}$/.test(text);
  return whole ? asSchemaWants(result, context.schemaAt(path)) : result;
}

async function lookUp(reference: string, path: Path, context: ReferenceContext): Promise<string | null> {
  const { document, environment, directory } = context;
  const missing = (sentence: string): null => {
    document.problem('settings.secret-missing', path, `${keyName(path)}: ${sentence}`);
    return null;
  };
  const colon = reference.indexOf(':');
  const kind = reference.slice(0, colon);
  const name = reference.slice(colon + 1);
  if (kind === 'env' && name !== '') {
    const value = environment[name];
    if (value === undefined) return missing(`\${env:${name}} has nothing behind it: the variable is not set`);
    if (value === '') return missing(`\${env:${name}} has nothing behind it: the variable is empty`);
    return value;
  }
  if (kind === 'file' && name !== '') {
    let content: string;
    try {
      content = await readFile(resolve(directory, name), 'utf8');
    } catch (error) {
      return missing(`\${file:${name}} has nothing behind it: ${errnoReason(error)}`);
    }
    const value = content.replace(/(\r?\n)+$/, '');
    if (value === '') return missing(`\${file:${name}} has nothing behind it: the file is empty`);
    return value;
  }
  // What stands between the braces isn't repeated: it may be a secret with ${…} around it.
  document.problem(
    'settings.invalid',
    path,
    `${keyName(path)} holds a reference that is neither \${env:NAME} nor \${file:PATH}; write $\${ for a literal \${`,
  );
  return null;
}

/** A variable is text; where the schema wants a number or true/false, text that is one becomes one. */
function asSchemaWants(text: string, schema: SchemaNode | null): unknown {
  const types = schema === null ? [] : [schema, ...(schema.anyOf ?? [])].map(({ type }) => type);
  if ((types.includes('integer') || types.includes('number')) && /^-?\d+$/.test(text)) return Number(text);
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
