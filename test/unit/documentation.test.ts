/**
 * What the documentation tells people to type is understood: commands of Headwater and their options, npm scripts,
 * settings files, statements, and links. The commands are run by e2e/documented-commands.postgres.test.ts, with the
 * statements for PostgreSQL; `OTHERS` says which test runs, or checks, each command of another program.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadSettings } from '../../src/settings/load.ts';
import { parseScript } from '../../src/enrichment/sql/script.ts';
import {
  currentPages,
  documentation,
  headwaterCommands,
  otherCommands,
  ROOT,
} from '../support/documented-commands.ts';
import { anchorsOf, codeBlocks } from '../support/markdown.ts';

const run = promisify(execFile);
const TEXTS = await documentation();
const CURRENT = currentPages(TEXTS);
const COMMANDS = headwaterCommands(CURRENT).flatMap(({ page, line }) =>
  line
    .split(' | ')
    .map((part) => ({ page, line: part.trim().replace(/^(?:[A-Z_]+=\S+ )+/, '') }))
    .filter((part) => part.line.startsWith('headwater ')),
);

const commandOf = (line: string): string => line.split(' ')[1]!;

describe('commands', () => {
  /** The text of --help, by command; '' is headwater's own. */
  const help = new Map<string, string>();

  beforeAll(async () => {
    const ask = async (command: string): Promise<string> => {
      const args = [join(ROOT, 'src/main.ts'), ...(command === '' ? [] : [command]), '--help'];
      return (await run(process.execPath, args)).stdout;
    };
    help.set('', await ask(''));
    const known = [...help.get('')!.matchAll(/^ {2}headwater (\w+)/gm)].map(([, name]) => name!);
    for (const name of known) help.set(name, await ask(name));
  });

  test('there are many, and each is one', () => {
    expect(COMMANDS.length).toBeGreaterThan(50);
    for (const { page, line } of COMMANDS) {
      // `headwater pause|resume FILE`, `headwater --help`
      if (commandOf(line).startsWith('-') || commandOf(line) === 'COMMAND') continue;
      for (const name of commandOf(line).split('|')) {
        expect([...help.keys()], `${page}: ${line}`).toContain(name.replace(/[,:]$/, ''));
      }
    }
  });

  test('each has the options that it is shown with', () => {
    let options = 0;
    for (const { page, line } of COMMANDS) {
      const text = help.get(commandOf(line)) ?? help.get('')!;
      for (const [, option] of line.matchAll(/(?:^|[ [])(--?[a-z][a-z-]*)/g)) {
        options++;
        expect(text.includes(option!), `${page}: ${line} has no ${option}`).toBe(true);
      }
    }
    expect(options).toBeGreaterThan(4);
  });
});

test('npm scripts are there', async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const named = CURRENT.flatMap(([page, text]) =>
    [...text.matchAll(/npm run (?:-s |--silent )?([a-z][\w:-]*)/g)].map(([, script]) => ({
      page,
      script: script!,
    })),
  );
  expect(named.length).toBeGreaterThan(15);
  for (const { page, script } of named) expect(Object.keys(scripts), page).toContain(script);
});

/** What runs a command that is shown; or why nothing does here, and what holds of it all the same. */
const OTHERS: readonly (readonly [RegExp, { readonly by: string; readonly notRun?: string }])[] = [
  [/^npm .*npm pack/, { by: 'test/e2e/package.test.ts' }],
  [/^npm (?:ci|test|run check|run test[\w:]*)\b/, { by: '.ci/run' }],
  [/^npm run demo$/, { by: 'test/e2e/demo.postgres.kafka.test.ts' }],
  [/^npm run audit$/, { by: 'test/unit/audit.test.ts' }],
  [/^npm run sbom\b/, { by: 'test/unit/bill-of-materials.test.ts' }],
  [/^npm run simulate\b/, { by: 'test/unit/simulate.test.ts' }],
  [/^npm run goldens\b/, { by: 'test/integration/goldens.mysql.test.ts' }],
  [/^npm run (?:docs|format|headwater)\b/, { by: 'test/unit/documentation.test.ts' }],
  [/^npm run bench\b/, { by: 'bench/main.ts', notRun: 'takes an hour, and Debezium' }],
  [/^npm run record-goldens\b/, { by: 'scripts/record-goldens.ts', notRun: 'downloads Debezium' }],
  [/^export ORACLE_/, { by: 'test/support/oracle/live.ts', notRun: 'needs a live Oracle' }],
  [/^docker .*oracle/, { by: 'test/unit/oracle-scripts.test.ts', notRun: 'no container engine' }],
  [/^docker /, { by: 'test/unit/deployment.test.ts', notRun: 'no container engine' }],
  [/^kubectl /, { by: 'test/unit/deployment.test.ts', notRun: 'no cluster' }],
  [
    /^systemctl /,
    { by: 'test/e2e/service.systemd.postgres.test.ts', notRun: 'systemd is not what runs here' },
  ],
  [/^systemd-analyze /, { by: 'test/integration/service-manager.systemd.test.ts' }],
  [/^systemd-creds /, { by: 'test/integration/service-manager.systemd.test.ts', notRun: 'needs a host key' }],
  [/^openssl rand /, { by: 'docs/security.md', notRun: 'any other random text will do' }],
  [/^curl .*:(?:8088|8080)\//, { by: 'test/e2e/documented-commands.postgres.test.ts' }],
  [/^curl .*:9200\//, { by: 'test/e2e/search.postgres.kafka.test.ts' }],
  [
    /^(?:export SHOP_URL|(?:KEYED=1 )?node index-topics|npm install kafkajs)/,
    { by: 'test/e2e/search.postgres.kafka.test.ts' },
  ],
  [/^sql-client\.sh /, { by: 'test/integration/flink-script.postgres.kafka.registry.test.ts' }],
];

describe('commands of other programs', () => {
  const shown = otherCommands(CURRENT);

  test('each is run by a test, or it is said why not', () => {
    expect(shown.length).toBeGreaterThan(20);
    for (const { page, line } of shown) {
      const found = OTHERS.find(([pattern]) => pattern.test(line))?.[1];
      expect(found, `${page}: ${line}`).toBeDefined();
      const { by, notRun } = found!;
      expect(existsSync(join(ROOT, by)), by).toBe(true);
      if (notRun === undefined) expect(by).toMatch(/^test\/.*\.test\.ts$|^\.ci\/run$/);
    }
  });
});

test('statements over streams are understood', () => {
  let count = 0;
  for (const [page, text] of CURRENT) {
    if (!/docs\/(?:enrichment|flink|sql-api)\.md/.test(page)) continue;
    for (const block of codeBlocks(text)) {
      // What is written down for Flink is run there.
      if (block.language !== 'sql' || block.text.startsWith('CREATE VIEW')) continue;
      const statements = parseScript(block.text, 'ksqldb');
      expect(statements.length, `${page}:${block.line}`).toBeGreaterThan(0);
      count += statements.length;
    }
  }
  expect(count).toBeGreaterThan(25);
});

describe('settings', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'headwater-docs-'));
    await writeFile(join(dir, 'secret'), 'a-secret-long-enough');
  });
  afterAll(() => rm(dir, { recursive: true }));

  const isWhole = (text: string): boolean => {
    const value: unknown = parse(text);
    return (
      typeof value === 'object' && value !== null && 'name' in value && 'source' in value && 'emit' in value
    );
  };
  const files = CURRENT.flatMap(([page, text]) =>
    codeBlocks(text)
      .filter(({ language, text: block }) => language === 'yaml' && !block.includes('…') && isWhole(block))
      .map(({ text: block, line }) => [`${page}:${line}`, block] as const),
  );

  test('there are some', () => expect(files.length).toBeGreaterThan(2));

  test.each(files)('of %s are right', async (_place, text) => {
    const path = join(dir, 'shown.yaml');
    for (const [sql] of text.matchAll(/[\w/-]+\.sql\b/g)) {
      await mkdir(dirname(join(dir, sql)), { recursive: true });
      await writeFile(join(dir, sql), '');
    }
    await writeFile(path, text.replaceAll(/\$\{(?:file|env):[^}]+\}/g, `\${file:${join(dir, 'secret')}}`));
    await expect(loadSettings([path], {})).resolves.toHaveLength(1);
  });

  test('every other block of YAML can at least be read', () => {
    for (const [page, text] of CURRENT) {
      for (const block of codeBlocks(text)) {
        if (block.language !== 'yaml' || block.text.includes('…')) continue;
        expect(() => parse(block.text), `${page}:${block.line}`).not.toThrow();
      }
    }
  });
});

test('links within the documentation lead somewhere', () => {
  let links = 0;
  for (const [page, text] of TEXTS) {
    for (const [, target] of text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      links++;
      const [path = '', anchor] = target!.split('#');
      const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
      expect(existsSync(file), `${page}: ${target}`).toBe(true);
      if (anchor === undefined) continue;
      const there = TEXTS.get(file.slice(ROOT.length + 1));
      expect(there !== undefined && anchorsOf(there).has(anchor), `${page}: ${target}`).toBe(true);
    }
  }
  expect(links).toBeGreaterThan(50);
});

test('tests that the documentation names are there', () => {
  const named = CURRENT.flatMap(([page, text]) =>
    [...text.matchAll(/`(test\/[\w/.-]+\.ts)`/g)].map(([, path]) => [page, path!] as const),
  );
  expect(named.length).toBeGreaterThan(10);
  for (const [page, path] of named) expect(existsSync(join(ROOT, path)), `${page}: ${path}`).toBe(true);
});

test('files of docker/ and config/ that the documentation names are there', () => {
  const named = CURRENT.flatMap(([page, text]) =>
    [...text.matchAll(/(?<![\w./-])((?:docker|config)\/[\w/.-]*\w)/g)].map(
      ([, path]) => [page, path!] as const,
    ),
  );
  expect(named.length).toBeGreaterThan(10);
  for (const [page, path] of named) expect(existsSync(join(ROOT, path)), `${page}: ${path}`).toBe(true);
});
