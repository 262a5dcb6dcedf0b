/**
 * What the documentation tells people to type is understood: commands of Headwater and their options, npm scripts,
 * settings files, and links. The commands are run by e2e/documented-commands.postgres.test.ts. Left out, because it is
 * somebody else's to run: SQL (that of the least privileges is run by e2e/least-privileges.*), docker, kubectl, systemctl
 * and other programs.
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
import { currentPages, documentation, headwaterCommands, ROOT } from '../support/documented-commands.ts';
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
