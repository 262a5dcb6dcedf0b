/**
 * Holds the direction of imports: model ← errors ← observability ← {settings, schema, snapshot, readers,
 * enrichment, emitter, state} ← pipeline ← daemon ← http ← demo ← cli ← main. Folders of one rank meet only through
 * interface files. No cycles. One line per violation; exit code 1 if there is any.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { importStatements } from './import-statements.ts';

const RANKS: readonly (readonly string[])[] = [
  ['model'],
  ['errors'],
  ['observability'],
  ['settings', 'schema', 'snapshot', 'readers', 'enrichment', 'emitter', 'state', 'local-servers'],
  ['pipeline'],
  ['daemon'],
  ['http'],
  ['demo'],
  ['cli'],
  ['main.ts'],
];

/** What folders of one rank may know of each other. */
const INTERFACES: readonly RegExp[] = [
  /^readers\/reader\.ts$/,
  /^snapshot\/snapshot-source\.ts$/,
  /^emitter\/(sink|topic-fault|topic-reader|topic-admin)\.ts$/,
  // The bytes of Avro, for whoever writes records.
  /^emitter\/encoders\/(binary-writer|decimal-bytes|utf8-writer)\.ts$/,
  /^state\/(checkpoint|make-directory)\.ts$/,
  /^schema\/(connect-schema|column-schema|table-form|source-block|integer-text|schema-names|avro-schema|json-schema|protobuf-schema|registry\/(named-schema|record-prefix))\.ts$/,
];

/** Settings are data: their types may be named anywhere of the same rank, but nothing of theirs called. */
const TYPES_ONLY: readonly RegExp[] = [/^settings\/[^/]+\.ts$/];

/** What only some folders may use, however high the others stand. */
const RESERVED: Readonly<Record<string, readonly string[]>> = { 'local-servers': ['demo', 'cli'] };

/** Beside the readers' own neighbours: a source's folder never looks into another's. */
const SEALED = ['readers', 'emitter/sinks', 'emitter/encoders'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly line: number;
  readonly typeOnly: boolean;
}

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '../src'));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'))
  .sort();
const imports = files.flatMap(importsOf);
const violations = [...imports.flatMap(violationsOf), ...cycles()];
for (const violation of violations) process.stderr.write(`${violation}\n`);
if (violations.length > 0) process.exitCode = 1;

function importsOf(file: string): Import[] {
  return importStatements(readFileSync(join(root, file), 'utf8'))
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier, line, typeOnly }) => {
      const to = relative(root, resolve(root, dirname(file), specifier)).replaceAll('\\', '/');
      return { from: file, to, line, typeOnly };
    });
}

function rankOf(file: string): number {
  const top = file.split('/')[0] ?? file;
  return RANKS.findIndex((folders) => folders.includes(top));
}

function violationsOf(found: Import): string[] {
  const { from, to } = found;
  const say = (why: string): string[] => [`src/${from}:${found.line}: ${why}`];
  if (to === '../package.json') return []; // our own version
  if (to.startsWith('..')) return say(`imports ${to}, which is outside src/`);
  const [fromTop, toTop] = [from.split('/')[0], to.split('/')[0]];
  const [fromRank, toRank] = [rankOf(from), rankOf(to)];
  if (fromRank < 0) return say(`${fromTop}/ has no place in the import order (scripts/check-imports.ts)`);
  if (toRank < 0)
    return say(`imports ${to}, which has no place in the import order (scripts/check-imports.ts)`);
  if (toRank > fromRank)
    return say(`${fromTop} must not import ${to}: imports go from ${toTop} to ${fromTop}`);
  if (toRank === fromRank && fromTop !== toTop && !mayMeet(found))
    return say(`${fromTop} and ${toTop} meet only through model and interface files, and ${to} is none`);
  const users = RESERVED[toTop ?? ''];
  if (users !== undefined && fromTop !== toTop && !users.includes(fromTop ?? ''))
    return say(`${toTop} is for ${users.join(' and ')} alone, and ${from} is neither`);
  for (const folder of SEALED) {
    const [own, other] = [child(from, folder), child(to, folder)];
    if (own !== null && other !== null && own !== other)
      return say(`${folder}/${own} must not look into its neighbour ${folder}/${other}`);
  }
  return [];
}

function mayMeet({ to, typeOnly }: Import): boolean {
  return INTERFACES.some((file) => file.test(to)) || (typeOnly && TYPES_ONLY.some((file) => file.test(to)));
}

/** `postgres` for readers/postgres/x.ts in readers; null for a file that lies directly in the folder. */
function child(file: string, folder: string): string | null {
  if (!file.startsWith(`${folder}/`)) return null;
  const rest = file.slice(folder.length + 1).split('/');
  return rest.length > 1 ? (rest[0] ?? null) : null;
}

/** Cycles among files, by values: types alone are gone at run time, and interface files may know each other. */
function cycles(): string[] {
  const graph = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      found.push(`src/${file}: imports itself by way of ${[...path.slice(start + 1), file].join(' → ')}`);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
  return found;
}
