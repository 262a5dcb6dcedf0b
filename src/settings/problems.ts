import type * as z from 'zod';
import { keyName, type Path, type SettingsDocument } from './document.ts';
import { nearest } from '../errors/nearest.ts';
import { allKeys, schemaAt } from './schema-walk.ts';

/** What zod found, as problems of the document: one for each place. */
export function noteIssues(
  document: SettingsDocument,
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
): void {
  const noted = document.problems.map(({ path }) => path);
  const meant = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      const suggestion = noteUnknownKey(document, pathOf(issue), key);
      if (suggestion !== null) meant.add(suggestion);
    }
  }
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') continue;
    const path = pathOf(issue);
    // A key that is there under a misspelt name isn't missing too.
    if (valueAt(value, path) === undefined && meant.has(keyName(path))) continue;
    // Something wrong at or around this place has been said already.
    if (noted.some((other) => other.every((step, depth) => step === path[depth]))) continue;
    noted.push(path);
    if (issue.code === 'invalid_key') {
      const must = issue.issues[0]?.message ?? issue.message;
      document.problem('settings.invalid', path, `the name ${keyName(path)} ${must}`, { atKey: true });
      continue;
    }
    document.problem('settings.invalid', path, sentence(issue, path, valueAt(value, path)));
  }
}

function pathOf(issue: z.core.$ZodIssue): Path {
  return issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

function sentence(issue: z.core.$ZodIssue, path: Path, found: unknown): string {
  const name = keyName(path) || 'the file';
  if (found === undefined) return `${name} is missing; it ${issue.message}`;
  const wrongType = issue.code === 'invalid_type' || issue.code === 'invalid_union';
  return wrongType ? `${name} ${issue.message}, not ${kindOf(found)}` : `${name} ${issue.message}`;
}

function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = (found as Readonly<Record<string | number, unknown>>)[step];
  }
  return found;
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'number':
    case 'bigint':
      return 'a number';
    case 'boolean':
      return 'true or false';
    default:
      return 'a block of keys';
  }
}

/** Notes the key, and returns the name of the one it was probably meant to be. */
function noteUnknownKey(document: SettingsDocument, path: Path, key: string): string | null {
  const full = [...path, key];
  const name = keyName(full);
  const here = Object.keys(schemaAt(path)?.properties ?? {});
  const near = nearest(key, here);
  // A key spelt right in the wrong place says more than a distant neighbour in the right one.
  const meant =
    allKeys().find((known) => known.split('.').at(-1) === key) ??
    (near === null ? null : keyName([...path, near]));
  const hint =
    meant !== null ? `; did you mean ${meant}?` : here.length > 0 ? `; known here: ${here.join(', ')}` : '';
  document.problem('settings.invalid', full, `unknown key ${name}${hint}`, { atKey: true });
  return meant;
}
