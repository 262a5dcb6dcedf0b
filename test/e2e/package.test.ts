/** The npm package, installed as its users install it, into a prefix of its own. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const { version, engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly engines: { readonly node: string };
};

let dir: string;
let command: string;
/** Without the project's own programs, and with its Node first. */
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headwater-package-'));
  const npm = { cwd: ROOT, maxBuffer: 1 << 26 };
  await run('npm', ['pack', '--silent', '--pack-destination', dir], npm);
  const [tarball] = await readdir(dir);
  // The optional package is the demo's PostgreSQL, a hundred megabytes.
  const install = [
    'install',
    '--global',
    '--prefix',
    dir,
    '--omit=optional',
    '--prefer-offline',
    '--no-audit',
  ];
  await run('npm', [...install, join(dir, tarball!)], npm);
  command = join(dir, 'bin/headwater');
  env = { PATH: `${join(process.execPath, '..')}:/usr/local/bin:/usr/bin:/bin`, SHOP_PASSWORD: 'secret' };
}, 300_000);

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

it('is small, and has what it says', async () => {
  const installed = join(dir, 'lib/node_modules/headwater');
  const tarball = (await readdir(dir)).find((name) => name.endsWith('.tgz'))!;
  expect((await stat(join(dir, tarball))).size).toBeLessThan(3_000_000);
  expect((await readdir(installed)).toSorted()).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'config', 'dist', 'docker', 'docs', 'package.json']),
  );
  const shipped = await readdir(installed, { recursive: true });
  expect(shipped.filter((name) => /^(src|test|bench|scripts)\b|^dist\/.*\.map$/.test(name))).toEqual([]);
});

it('starts, knows its version, and checks a settings file', async () => {
  expect((await run(command, ['--version'], { env })).stdout.trim()).toBe(version);
  expect(engines.node).toBe('>=24.6.0');
  const good = join(dir, 'good.yaml');
  const settings = await readFile(join(ROOT, 'config/postgres-file.yaml'), 'utf8');
  await writeFile(good, settings);
  await run(command, ['validate', good], { env });
  const bad = join(dir, 'bad.yaml');
  await writeFile(bad, settings.replace('tables:', 'tabels:'));
  await expect(run(command, ['validate', bad], { env })).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/bad\.yaml:\d+: .*tabels.*tables/s),
  });
});

it.each(['postgres', 'mysql', 'mariadb', 'oracle'])(
  'finds the driver of %s, compression and checksums where they were installed',
  async (product) => {
    const file = join(dir, `${product}.yaml`);
    // Nothing listens on port 1: the driver is there, and says so.
    const service = product === 'oracle' ? '/FREE' : product === 'postgres' ? '/shop' : '';
    await writeFile(
      file,
      `name: shop\nsource: { url: "${product}://a:b@127.0.0.1:1${service}", tables: [A.B] }\nemit: { kafka: { brokers: ["127.0.0.1:1"] } }\nhttp: { listen: off }\n`,
    );
    const { stdout } = await run(command, ['doctor', '--json', file], { env }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toContain('source.unreachable');
    expect(stdout).toContain('delivery.unreachable');
  },
);
