/** `npm run sbom` lists what ships, each package with its hash, and nothing else. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

interface Bill {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly purl: string; readonly type: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly hashes?: readonly { readonly alg: string }[];
  }[];
}

test('the bill of materials has what ships with its hashes, and not what only builds', async () => {
  const manifest = JSON.parse(await readFile(resolve(root, 'package.json'), 'utf8')) as Readonly<
    Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
  >;
  const { stdout } = await run('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const { bomFormat, metadata, components } = JSON.parse(stdout) as Bill;
  // Its name there is the checkout's directory, so the address decides.
  expect([bomFormat, metadata.component.type]).toEqual(['CycloneDX', 'application']);
  expect(metadata.component.purl).toMatch(/^pkg:npm\/headwater@/);
  // `pkg:npm/%40scope/name@1.2.3`: a name by itself goes without its scope.
  const names = new Set(components.map(({ purl }) => /^pkg:npm\/(.+)@/.exec(decodeURIComponent(purl))?.[1]));
  expect(Object.keys(manifest.dependencies)).toContain('pg');
  for (const name of Object.keys(manifest.dependencies)) expect(names, name).toContain(name);
  for (const name of ['vitest', 'playwright-core', 'oxlint']) {
    expect(Object.keys(manifest.devDependencies)).toContain(name);
    expect(names, name).not.toContain(name);
  }
  for (const { name, version, purl, hashes } of components) {
    expect(purl, name).toContain(`@${version}`);
    expect(
      hashes?.map(({ alg }) => alg),
      name,
    ).toEqual(['SHA-512']);
  }
});
