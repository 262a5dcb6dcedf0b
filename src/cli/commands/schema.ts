import {
  readSchemas,
  repairSchemas,
  type TableHistory,
  type TableVersion,
} from '../../daemon/schema-history.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Settings } from '../../settings/settings.ts';
import { defineCommand } from '../command.ts';
import { PRINT_JSON } from '../shared-options.ts';
import { loadOneFile } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('action', { choices: ['show', 'history', 'repair'] as const, demandOption: true })
      .positional('file', { type: 'string', demandOption: true, describe: 'Settings file' })
      .positional('table', { type: 'string', describe: 'schema.table; all of them unless given' })
      .option('json', PRINT_JSON)
      .example('$0 schema show shop.yaml', 'The schemas that changes are read with now')
      .example('$0 schema history shop.yaml public.orders', 'What changed from version to version, and where')
      .example('$0 schema repair shop.yaml', 'Take the schemas from the database at the next start'),
  async run({ action, file, table = null, json }) {
    const settings = await loadOneFile(file);
    const signals = onStopSignals();
    try {
      if (action === 'repair') return await repair(settings, { table, json }, signals.stop);
      const tables = await readSchemas(settings, table, signals.stop);
      if (table !== null && tables.length === 0) throw unknownTable(settings, table);
      const shown =
        action === 'history'
          ? tables
          : tables.map((each) => ({ ...each, versions: each.versions.slice(-1) }));
      const text =
        tables.length === 0 ? `${settings.name} knows no table yet.\n` : shown.map(historyText).join('\n');
      process.stdout.write(json ? `${JSON.stringify({ tables: shown }, null, 2)}\n` : text);
      return 0;
    } finally {
      signals.dispose();
    }
  },
});

async function repair(
  settings: Settings,
  { table, json }: { readonly table: string | null; readonly json: boolean },
  signal: AbortSignal,
): Promise<number> {
  const done = await repairSchemas(settings, table, signal);
  if (table !== null && done.renewed.length === 0) throw unknownTable(settings, table);
  const lines = [
    ...done.dropped.map((key) => `${key} could not be read and is forgotten`),
    ...done.renewed.map((name) => `${name} is taken from the database at the next start`),
  ];
  process.stdout.write(
    json ? `${JSON.stringify(done)}\n` : `${lines.join('\n') || 'There is nothing to repair.'}\n`,
  );
  return 0;
}

function unknownTable({ name }: Settings, table: string): HeadwaterError {
  return new HeadwaterError('settings.no-table-matches', `The pipeline ${name} knows no table ${table}.`, {
    fix: 'Name it as schema.table; `headwater schema show FILE` lists those it knows.',
  });
}

function historyText({ table, versions, paused, topic }: TableHistory): string {
  const lines = [`${table}${topic === null ? '' : `, in the topic ${topic}`}`];
  if (paused !== null) lines.push(`  waits: ${paused}`);
  let before: TableVersion | null = null;
  for (const version of versions) {
    lines.push(`  version ${version.version}, ${beginning(version)}; key (${version.key.join(', ')})`);
    lines.push(...changes(before, version).map((change) => `    ${change}`));
    if (version.columns.length > 0) before = version;
  }
  return `${lines.join('\n')}\n`;
}

function beginning({ from, columns }: TableVersion): string {
  if (columns.length === 0 && from === null) return 'to be taken from the database';
  return from === null ? 'as it was found' : `from ${from}`;
}

/** All columns of the first version, then what is different. */
function changes(before: TableVersion | null, { columns }: TableVersion): readonly string[] {
  const text = (name: string, nativeType: string, nullable: boolean): string =>
    `${name} ${nativeType}${nullable ? '' : ' not null'}`;
  const was = new Map(
    (before?.columns ?? []).map((each) => [each.name, text(each.name, each.nativeType, each.nullable)]),
  );
  const is = new Map(columns.map((each) => [each.name, text(each.name, each.nativeType, each.nullable)]));
  if (before === null) return [...is.values()];
  return [
    ...[...was].flatMap(([name, old]) => (is.has(name) ? [] : [`- ${old}`])),
    ...[...is].flatMap(([name, now]) =>
      was.get(name) === now ? [] : [`${was.has(name) ? '~' : '+'} ${now}`],
    ),
  ];
}
