import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { misfitsOf } from '../../src/daemon/table-fit.ts';
import type { TableSchema } from '../../src/model/table.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { modelTable } from '../property/snapshot-model.ts';

async function misfits(emit: string, table: TableSchema): Promise<readonly (string | null)[]> {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-fit-'));
  try {
    const file = join(dir, 'p.yaml');
    await writeFile(
      file,
      `name: p
source: { url: "postgres://a:b@127.0.0.1/d", tables: [public.*] }
emit:
  file: { path: out }
${emit}
`,
    );
    const [settings] = await loadSettings([file], {});
    const found = await misfitsOf(
      settings!,
      {
        sourceBlock: postgresSourceBlock('p', 'd').schema,
        tables: [table],
        state: new Map(),
      },
      new AbortController().signal,
    );
    return found.map(({ table: name, error }) => `${name}: ${error.code}`);
  } finally {
    await rm(dir, { recursive: true });
  }
}

it('a table with names that the format does not allow does not fit until its names are adjusted', async () => {
  const table = modelTable('t', true);
  const odd = { ...table, columns: table.columns.map((column) => ({ ...column, name: `${column.name}-x` })) };
  const registry = (more: string): string => `  registry: { url: "http://127.0.0.1:1"${more} }`;
  const refused = ['public.t: schema.name-invalid'];
  expect(await misfits(`  format: avro\n${registry('')}`, odd)).toEqual(refused);
  expect(await misfits(`  format: protobuf\n${registry('')}`, odd)).toEqual(refused);
  expect(await misfits(`  format: avro\n${registry('')}`, table)).toEqual([]);
  expect(await misfits(`  format: avro\n${registry(', names: avro')}`, odd)).toEqual([]);
  expect(await misfits(`  format: json-schema\n${registry('')}`, odd)).toEqual([]);
  expect(await misfits('  format: json', odd)).toEqual([]);
});
