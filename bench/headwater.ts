import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Contender, RunSpec } from './contender.ts';
import { startProcess } from './daemon-process.ts';

export type Delivery = 'exactly-once' | 'at-least-once';

export const PROJECT_ROOT = join(import.meta.dirname, '..');

const MAIN = join(PROJECT_ROOT, 'dist', 'main.js');

/** As docker/Dockerfile and docker/headwater.service start it. */
const NODE_FLAGS = ['--max-semi-space-size=8', '--heap-growing-percent=50'];
const ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };

/** Builds what is measured, so that it is the tree's present state. */
export async function buildHeadwater(): Promise<void> {
  const build = join(PROJECT_ROOT, 'scripts', 'build.ts');
  await promisify(execFile)(process.execPath, [build], { cwd: PROJECT_ROOT });
}

/** What runs a settings file, as users have it: the built bundle. */
export function daemonCommand(
  file: string,
  nodeFlags: readonly string[] = [],
): { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  return { args: [...NODE_FLAGS, ...nodeFlags, MAIN, 'run', file], env: ENVIRONMENT };
}

/** The command line as users have it: the built bundle in a process of its own. */
export function headwater(
  delivery: Delivery,
  options: { readonly nodeFlags?: readonly string[] } = {},
): Contender {
  return {
    name: `Headwater ${delivery}`,
    ours: true,
    slug: delivery === 'exactly-once' ? 'hw_eo' : 'hw_alo',
    settings: `JSON without schemas, lz4, ${delivery}, everything else as it comes`,
    start: (spec) => {
      mkdirSync(spec.directory, { recursive: true });
      const file = join(spec.directory, 'headwater.yaml');
      writeFileSync(file, settings(spec, delivery));
      return startProcess({
        file: process.execPath,
        ...daemonCommand(file, options.nodeFlags),
        log: join(spec.directory, 'headwater.log'),
        cwd: spec.directory,
      });
    },
  };
}

function settings({ id, source, broker, snapshot, directory }: RunSpec, delivery: Delivery): string {
  const own = source.product === 'postgres' ? `  postgres: { slot: ${id}, publication: ${id} }\n` : '';
  return `name: ${id}
source:
  url: ${source.databaseUrl}
  tables: [${source.schema}.orders]
${own}snapshot:
  mode: ${snapshot ? 'initial' : 'no_data'}
emit:
  kafka: { brokers: ['${broker}'], producer: { compression: lz4 } }
  format: json
  delivery: ${delivery}
http: { listen: '127.0.0.1:0' }
state: { dir: ${JSON.stringify(join(directory, 'state'))} }
`;
}
