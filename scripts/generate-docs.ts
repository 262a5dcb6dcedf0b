/**
 * Writes what follows from the code: docs/errors.md, docs/settings.md, config/headwater.schema.json, and the
 * metrics of docs/metrics.md. With `--check` it writes nothing and fails if any of them is not up to date.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { CATALOGUE, type CatalogueEntry } from '../src/errors/catalogue.ts';
import { METRICS } from '../src/observability/metrics.ts';
import { schemaAt, type SchemaNode, settingsJsonSchema } from '../src/settings/schema-walk.ts';

const root = new URL('../', import.meta.url);
const options = await resolveConfig(new URL('package.json', root).pathname);

const FATES: Readonly<Record<CatalogueEntry['fate'], string>> = {
  retry: 'tried again, with growing pauses',
  quarantine: 'the table is set aside, the others go on',
  resnapshot: 'as `source.on_gap` says',
  halt: 'the pipeline ends',
};

function errorsPage(): string {
  const sections = new Map<string, string[]>();
  const entries: readonly (readonly [string, CatalogueEntry])[] = Object.entries(CATALOGUE);
  for (const [code, { fate, exit, summary, advice }] of entries) {
    const prefix = code.split('.', 1)[0]!;
    const lines = sections.get(prefix) ?? [];
    lines.push(
      `### ${code}\n\n${summary}\n\nWhat happens: ${FATES[fate]}; exit code ${exit} where it ends the process.\n\nWhat to do: ${advice}\n`,
    );
    sections.set(prefix, lines);
  }
  const body = [...sections].sort(([a], [b]) => (a < b ? -1 : 1));
  return `# Errors

<!-- Generated from src/errors/catalogue.ts by \`npm run docs\`. -->

Every error has one of these codes, in the log, in \`/status\` and on the command line. Exit codes: 0 clean, 1 runtime,
2 settings or wrong use of the command line, 3 environment (a missing privilege, a server that cannot be reached),
128 + n when ended at once by signal n.

An error that would be tried again still ends the process if the only pipeline has not delivered anything yet: then it
is most likely a slip in the settings.

${body.map(([prefix, lines]) => `## ${prefix}\n\n${lines.join('\n')}`).join('\n')}`;
}

function settingsPage(): string {
  const rows: string[] = [];
  list(settingsJsonSchema(), '', rows);
  return `# Settings

<!-- Generated from src/settings/schema.ts by \`npm run docs\`. -->

One YAML file describes one pipeline; \`headwater run\` takes any number of them. The shortest:

\`\`\`yaml
# yaml-language-server: $schema=headwater.schema.json
name: shop
source:
  url: postgres://headwater@db:5432/shop
  password: \${file:/run/secrets/shop}
  tables: [public.orders, public.customers]
emit:
  kafka: { brokers: [kafka:9092] }
\`\`\`

The first line lets editors with the YAML language server complete and check the file; \`headwater settings schema\`
prints the schema. \`headwater validate FILE\` says what is wrong with a file, with its lines, without connecting to
anything. An unknown key is an error.

**References.** \`\${env:NAME}\` and \`\${file:PATH}\` may stand in any text, also as a part of it; newlines at the end of the
file are dropped. They are followed after YAML has been read, so what they hold is never taken for structure. A number or
true/false may come from one too. \`$\${\` is a literal \`\${\`. What has nothing behind it is an error.

**Secrets.** Passwords, tokens and keys are never printed: not by a command, not in the log, not in an error.

**Sizes** are \`512MB\`, \`20GB\` (powers of ten), \`64KiB\`, \`1GiB\` (powers of two) or a number of bytes. **Durations** are
\`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`7d\`. **Paths** are relative to the settings file.

**Patterns** that begin with \`!\` or \`*\` have to stand in quotes, because these signs mean something in YAML.

| key | what it is | default |
| --- | --- | --- |
${rows.join('\n')}

\`tables.*\` stands for the name of a table, as in \`tables: { public.orders: { topic: orders } }\`.
`;
}

function list(node: SchemaNode, prefix: string, rows: string[]): void {
  for (const [key, below] of Object.entries(node.properties ?? {})) {
    const name = prefix + key;
    const required = node.required?.includes(key) === true;
    const block = below.properties !== undefined;
    const chosen = below.enum === undefined ? '' : ` One of ${below.enum.map(code).join(', ')}.`;
    const fallback =
      below.default === undefined || block ? (required ? 'required' : '') : code(below.default);
    rows.push(row([code(name), (below.description ?? '') + chosen, fallback]));
    list(below, `${name}.`, rows);
    if (below.additionalProperties) list(below.additionalProperties, `${name}.*.`, rows);
  }
}

function metricsTable(): string {
  const rows = METRICS.map(({ name, type, help, labels, debezium }) =>
    row([
      code(name),
      type,
      (labels ?? []).map(code).join(', '),
      help,
      debezium === undefined ? '' : code(debezium),
    ]),
  );
  return `| metric | type | further labels | what it is | Debezium's attribute |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}`;
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The page with the part between the two marks replaced. */
async function withMetrics(path: string): Promise<string> {
  const page = await readFile(new URL(path, root), 'utf8');
  const mark = /(<!-- metrics: begin[^>]*-->)[\s\S]*(<!-- metrics: end -->)/;
  if (!mark.test(page)) throw new Error(`${path} has no place for the metrics`);
  return page.replace(mark, (_all, begin: string, end: string) => `${begin}\n\n${metricsTable()}\n\n${end}`);
}

function jsonSchema(): string {
  const title = schemaAt([])?.description ?? '';
  return JSON.stringify({ ...settingsJsonSchema(), title });
}

const generated: readonly (readonly [path: string, content: string, parser: string])[] = [
  ['docs/errors.md', errorsPage(), 'markdown'],
  ['docs/settings.md', settingsPage(), 'markdown'],
  ['docs/metrics.md', await withMetrics('docs/metrics.md'), 'markdown'],
  ['config/headwater.schema.json', jsonSchema(), 'json'],
];

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const [path, content, parser] of generated) {
  const text = await format(content, { ...options, parser });
  const now = await readFile(new URL(path, root), 'utf8').catch(() => '');
  if (now === text) continue;
  stale.push(path);
  if (!check) await writeFile(new URL(path, root), text);
}
if (check && stale.length > 0) {
  process.stderr.write(`Not up to date: ${stale.join(', ')}. Run \`npm run docs\`.\n`);
  process.exitCode = 1;
} else if (stale.length > 0) {
  process.stdout.write(`Written: ${stale.join(', ')}\n`);
}
