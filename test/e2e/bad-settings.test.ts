/** Mistakes that are found without connecting to anything: one sentence with file and line, exit 2 (a port: 3). */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files[Symbol.asyncDispose]());

const good = (name: string, more: readonly string[] = [], http?: string): string =>
  pipelineFile({
    name,
    url: 'postgres://nobody:pa55word@127.0.0.1:1/none',
    tables: ['public.a'],
    brokers: '127.0.0.1:1',
    more,
    ...(http === undefined ? {} : { http }),
  });

describe.each(['run', 'validate', 'doctor'])('headwater %s', (command) => {
  it.each([
    ['malformed YAML', 'name: [a\nsource: {', /:\d+/, /YAML/i],
    ['an unknown key', good('a').replace('tables:', 'tabels:'), /:4: /, /did you mean source\.tables/],
    [
      'a wrong URL scheme',
      good('a').replace('postgres://', 'http://'),
      /:3: /,
      /has to begin with postgres:/,
    ],
    ['a port that is none', good('a').replace(':1/none', ':99999/none'), /:3: /, /between 1 and 65535/],
    [
      'a secret that is missing',
      good('a').replace('tables:', 'password: ${env:NO_SUCH_VARIABLE}\n  tables:'),
      /:4/,
      /NO_SUCH_VARIABLE/,
    ],
  ])('%s: file, line, sentence', async (what, text, line, sentence) => {
    const file = await files.write(`${what.replaceAll(' ', '-')}.yaml`, text);
    const { exit, stderr } = await headwater([command, file]);
    expect(stderr).toContain(file);
    expect(stderr).toMatch(line);
    expect(stderr).toMatch(sentence);
    expect(stderr).toMatch(/\n {2}→ /);
    expect(stderr.trim().split('\n').length, stderr).toBeLessThanOrEqual(3);
    expect(stderr).not.toContain('pa55word');
    expect(exit).toBe(2);
  });

  it('two files with one name', async () => {
    const first = await files.write('first.yaml', good('twice'));
    const second = await files.write('second.yaml', good('twice'));
    const { exit, stderr } = await headwater([command, first, second]);
    expect(stderr).toMatch(/error\[settings\.duplicate-name\].*twice/);
    expect(stderr).toContain('first.yaml');
    expect(stderr).toContain('second.yaml');
    expect(exit).toBe(2);
  });

  it('a file that is not there', async () => {
    const { exit, stderr } = await headwater([command, files.path('none.yaml')]);
    expect(stderr).toMatch(/error\[settings\.file-unreadable\].*none\.yaml/);
    expect(exit).toBe(2);
  });
});

describe('a port that is taken', () => {
  it('ends the process with 3 before anything else is tried', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const file = await files.write('port.yaml', good('port', [], `127.0.0.1:${port}`));
      const { exit, stderr } = await headwater(['run', file]);
      expect(stderr).toMatch(/http\.port-in-use/);
      expect(stderr).toContain(`127.0.0.1:${port}`);
      // The database of the file does not exist either; it has not been asked.
      expect(stderr).not.toContain('source.');
      expect(exit).toBe(3);
    } finally {
      server.close();
    }
  });
});
