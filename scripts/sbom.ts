/**
 * Prints what ships, as CycloneDX. `npm sbom --omit=dev` leaves out what development needs as well: pg, say. So npm lists
 * all that the lock file has, and the lock file says what is for development alone.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

interface Bill {
  readonly metadata: { readonly component: { readonly 'bom-ref': string } };
  readonly components: readonly { readonly 'bom-ref': string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
}

const root = resolve(import.meta.dirname, '..');
const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
const { stdout } = await promisify(execFile)('npm', args, { cwd: root, maxBuffer: 256 * 1024 * 1024 });
const bill = JSON.parse(stdout) as Bill;
const { packages } = JSON.parse(await readFile(resolve(root, 'package-lock.json'), 'utf8')) as Lock;
const ships = new Set(
  Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`),
);
const { 'bom-ref': own } = bill.metadata.component;
const whatShips = {
  ...bill,
  components: bill.components.filter((each) => ships.has(each['bom-ref'])),
  dependencies: bill.dependencies
    .filter(({ ref }) => ref === own || ships.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => ships.has(each)) })),
};
process.stdout.write(`${JSON.stringify(whatShips, null, 2)}\n`);
