import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const SCRIPTS = join(import.meta.dirname, '../../scripts');
const trees: string[] = [];

afterEach(async () => {
  for (const tree of trees.splice(0)) await rm(tree, { recursive: true });
});

/** The lines that a script of the project's writes about a tree of these files. */
async function run(script: string, files: Record<string, string>): Promise<string[]> {
  const tree = await mkdtemp(join(tmpdir(), 'source-checks-'));
  trees.push(tree);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, name)), { recursive: true });
    await writeFile(join(tree, name), text);
  }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(SCRIPTS, script), tree], (error, _stdout, stderr) => {
      const lines = stderr.split('\n').filter((line) => line !== '');
      expect(error !== null, stderr).toBe(lines.length > 0);
      resolve(lines);
    });
  });
}

describe('the import check', () => {
  const check = (files: Record<string, string>): Promise<string[]> => run('check-imports.ts', files);

  it('lets imports go down the order, and neighbours meet through interface files', async () => {
    expect(
      await check({
        'model/row.ts': 'export const a = 1;',
        'readers/reader.ts': "import { a } from '../model/row.ts';\nexport interface Reader { a: typeof a }",
        'snapshot/engine.ts': "import type { Reader } from '../readers/reader.ts';",
        'emitter/envelope.ts': "import type { Settings } from '../settings/settings.ts';",
        'settings/settings.ts': 'export interface Settings {}',
        'pipeline/attempt.ts': "import { read } from '../readers/postgres/stream.ts';",
        'readers/postgres/stream.ts': 'export const read = 1; // from "../mysql/x.ts"',
      }),
    ).toEqual([]);
  });

  it.each([
    ['upwards', { 'model/a.ts': "import type { b } from '../errors/b.ts';", 'errors/b.ts': '' }],
    ['among neighbours', { 'emitter/a.ts': "import { b } from '../state/b.ts';", 'state/b.ts': '' }],
    ['settings by value', { 'emitter/a.ts': "import { b } from '../settings/b.ts';", 'settings/b.ts': '' }],
    ['lazily upwards', { 'model/a.ts': "const b = await import('../cli/b.ts');", 'cli/b.ts': '' }],
    ['re-exported', { 'model/a.ts': "export * from '../daemon/b.ts';", 'daemon/b.ts': '' }],
    ['among sources', { 'readers/a/a.ts': "import { b } from '../b/b.ts';", 'readers/b/b.ts': '' }],
    ['out of src', { 'model/a.ts': "import { b } from '../../test/b.ts';" }],
    ['a folder unknown', { 'utils/a.ts': "import { b } from '../model/b.ts';", 'model/b.ts': '' }],
    [
      'of servers for the demo',
      { 'daemon/a.ts': "import { b } from '../local-servers/b.ts';", 'local-servers/b.ts': '' },
    ],
    ['over several lines', { 'model/a.ts': "import {\n  b,\n} from '../http/b.ts';", 'http/b.ts': '' }],
  ])('refuses an import %s, in one line that names file and line', async (_what, files) => {
    const lines = await check(files);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^src\/[a-z/]+\.ts:\d+: /);
  });

  it('finds cycles of values, and none in types alone', async () => {
    const lines = await check({
      'model/a.ts': "import { b } from './b.ts';",
      'model/b.ts': "import { a } from './a.ts';",
      'model/c.ts': "import type { D } from './d.ts';",
      'model/d.ts': "import { type C } from './c.ts';",
    });
    expect(lines).toEqual(['src/model/a.ts: imports itself by way of model/b.ts → model/a.ts']);
  });
});

describe('the export check', () => {
  const check = (files: Record<string, string>): Promise<string[]> => run('check-exports.ts', files);

  it('lets be what another file imports, by whatever statement', async () => {
    expect(
      await check({
        'src/a.ts': [
          'export function called(): void {}',
          'export const kept = 1, other = 2;',
          'export class Made {}',
          'export async function later(): Promise<void> {}',
          'export interface Named {}',
          'export const passedOn = 3;',
          'export const all = 4;',
        ].join('\n'),
        'src/b.ts': "import {\n  called,\n  type Named,\n  Made as Mine,\n} from './a.ts';",
        'src/all.ts': "import * as a from './a.ts';\na.all;",
        'test/c.ts': "import { kept } from '../src/a.ts';\nexport { passedOn } from '../src/a.ts';",
        'scripts/d.ts': "const { later } = await import('../src/a.ts');",
      }),
    ).toEqual([]);
  });

  it('names what only its own file calls, and where', async () => {
    const lines = await check({
      'src/a.ts': '\nexport function own(): void {}\nown();',
      'src/b.ts': "import { own } from './c.ts'; // import { own } from './a.ts';",
      'src/c.ts': 'export const own = 1;',
    });
    expect(lines).toEqual(['src/a.ts:2: no other file imports own, so it is exported for nobody']);
  });

  it('keeps the types of a signature, and finds those that nothing names', async () => {
    const lines = await check({
      'src/a.ts':
        'export interface Options {}\nexport function f(options: Options): void {}\nexport type Gone = 1;',
      'test/b.ts': "import { f } from '../src/a.ts';",
    });
    expect(lines).toEqual(['src/a.ts:3: nothing names the type Gone, so it is exported for nobody']);
  });
});
