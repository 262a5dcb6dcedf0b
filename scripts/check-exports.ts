/**
 * Finds what is exported for nobody: a function, constant or class that no other file imports, and a type that nothing
 * names, its own file included (types of a signature stay exported, so that whoever calls it can name them). Without
 * `export` the compiler tells whether such a thing is used at all. One line per finding; exit code 1 if there is any.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { importStatements, withoutComments } from './import-statements.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const texts = new Map<string, string>();
for (const folder of ['src', 'test', 'bench', 'scripts']) {
  if (!existsSync(join(root, folder))) continue;
  for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, entry);
    if (file.endsWith('.ts')) texts.set(file, withoutComments(readFileSync(join(root, file), 'utf8')));
  }
}

/** `file#name` of all that some other file takes by its name, and who takes what he likes of a file. */
const taken = new Set<string>();
const open = new Map<string, string[]>();
for (const [file, text] of texts) {
  for (const { specifier, names } of importStatements(text)) {
    if (!specifier.startsWith('.')) continue;
    const target = relative(root, resolve(root, dirname(file), specifier));
    if (names === null) open.set(target, [...(open.get(target) ?? []), file]);
    else for (const name of names) taken.add(`${target}#${name}`);
  }
}

const EXPORT =
  /^export (?:declare |async |abstract )*(function\*?|const|let|class|interface|type|enum) (\w+)/gm;
const findings = [...texts].flatMap(([file, text]) =>
  [...text.matchAll(EXPORT)].flatMap(([statement, kind, name = ''], index, all) => {
    if (taken.has(`${file}#${name}`)) return [];
    if (open.get(file)?.some((user) => mentions(texts.get(user) ?? '', name) > 0) === true) return [];
    const isType = kind === 'interface' || kind === 'type';
    if (isType && mentions(text, name) > 1) return [];
    const at = all[index]?.index ?? 0;
    const line = text.slice(0, at + statement.length).split('\n').length;
    return [
      `${file}:${line}: ${isType ? 'nothing names the type' : 'no other file imports'} ${name}, so it is exported for nobody`,
    ];
  }),
);
for (const finding of findings.sort()) process.stderr.write(`${finding}\n`);
if (findings.length > 0) process.exitCode = 1;

function mentions(text: string, name: string): number {
  return text.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0;
}
