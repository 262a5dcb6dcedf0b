/** What the settings ask of the captured tables, held against the columns that these have. */
import { tableFormOf } from '../emitter/encoders/row-fields.ts';
import { type RuleOptions, tableRules } from '../emitter/table-rules.ts';
import { Outbox } from '../emitter/transforms/outbox.ts';
import type { TableShape } from '../emitter/transforms/table-shape.ts';
import { UnwrappedFields } from '../emitter/transforms/unwrapped.ts';
import { nearest } from '../errors/nearest.ts';
import { asHeadwaterError } from '../errors/headwater-error.ts';
import type { DeclaredEnrichment } from '../enrichment/plan/declared.ts';
import { type TableId, type TableSchema, tableName } from '../model/table.ts';
import { SILENT } from '../observability/log.ts';
import type { Misfit } from '../pipeline/attempt-parts.ts';
import type { ConnectSchema } from '../schema/connect-schema.ts';
import { checkNames } from '../schema/schema-names.ts';
import type { Settings } from '../settings/settings.ts';
import { ruleSettings } from './emitter-options.ts';
import { splitOf, registryAccess, shownColumns } from './enrichment.ts';
import { rowFilters } from './row-filters.ts';
import { topicNaming, topicOf, topicOwners } from './topics.ts';

interface TablesFound {
  /** Of the source, since unwrapped records may show fields of it. */
  readonly sourceBlock: ConnectSchema;
  readonly tables: readonly TableSchema[];
  /** The durable state: who has a topic keeps it. */
  readonly state: ReadonlyMap<string, string>;
}

export async function misfitsOf(
  settings: Settings,
  { sourceBlock, tables, state }: TablesFound,
  signal: AbortSignal,
): Promise<readonly Misfit[]> {
  const { emit, outbox } = settings;
  const filters = await rowFilters(settings);
  const misfits: Misfit[] = [];
  const check = (table: string | null, work: () => void): void => {
    try {
      work();
    } catch (error) {
      misfits.push({ table, error: asHeadwaterError(error) });
    }
  };
  const options: RuleOptions = {
    naming: topicNaming(settings),
    hashKey: emit.hashKey?.reveal() ?? null,
    profile: emit.profile,
    added: emit.envelope === 'unwrapped' ? new UnwrappedFields(emit.unwrapped, sourceBlock).columns : [],
  };
  const rules = ruleSettings(settings, filters);
  const { refused } = topicOwners(
    settings,
    tables.map(({ id }) => id),
    state,
  );
  for (const table of tables) {
    const name = tableName(table.id);
    check(name, () => {
      const taken = refused.get(name);
      if (taken !== undefined) throw taken;
      if (outbox?.table === name) new Outbox(outbox, emit.profile).fit(table);
      else checkRecordNames(settings, sourceBlock, tableRules(table, rules.get(name), options).shape);
    });
  }
  const declared = splitOf(settings)?.own ?? null;
  if (declared !== null) {
    const topics = new Set(tables.map(({ id }) => topicOf(settings, id)));
    await statementsFit(settings, { declared, tables, topics }, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      misfits.push({ table: null, error: asHeadwaterError(error) });
    });
  }
  return misfits;
}

/** Throws `schema.name-invalid` where the format has no name for the table's records or columns. */
function checkRecordNames(settings: Settings, source: ConnectSchema, shape: TableShape): void {
  const { format, profile, registry, envelope } = settings.emit;
  if (registry === null || (format !== 'avro' && format !== 'protobuf')) return;
  const topic = topicOf(settings, shape.table.id);
  const { names } = registry;
  const form = tableFormOf({ ...shape, topic, source }, { profile, names });
  for (const schema of [form.key, envelope === 'full' ? form.envelope : form.row])
    if (schema !== null) checkNames(schema, FORMATS[format]);
}

const FORMATS = { avro: 'Avro', protobuf: 'Protobuf' } as const;

interface Statements {
  readonly declared: DeclaredEnrichment;
  readonly tables: readonly TableSchema[];
  /** Topics of the tables' own records. */
  readonly topics: ReadonlySet<string>;
}

/** Throws what is wrong with them. */
async function statementsFit(
  settings: Settings,
  { declared, tables, topics }: Statements,
  signal: AbortSignal,
): Promise<void> {
  const { checkStatements } = await import('../enrichment/plan/check-statements.ts');
  const { inferColumns, NOTHING_INFERRED } = await import('../enrichment/plan/inferred-columns.ts');
  const registry = await registryAccess(settings, SILENT);
  const reader = registry?.reader ?? null;
  checkStatements(declared, {
    pipeline: settings.name,
    registry: registry !== null,
    inferred: await inferColumns(declared, { reader, kept: NOTHING_INFERRED, signal }),
    tables,
    shown: shownColumns(settings),
    tableTopics: topics,
  });
}

/** Settings of tables that are not captured: a mask, perhaps, that masks nothing. One sentence each. */
export function idleSettings({ tables, outbox }: Settings, captured: readonly TableId[]): readonly string[] {
  const names = captured.map(tableName);
  const asked = [
    ...[...tables.keys()].map((table) => ({ table, setting: `tables.${table}` })),
    ...(outbox === null ? [] : [{ table: outbox.table, setting: `outbox.table: ${outbox.table}` }]),
  ];
  return asked
    .filter(({ table }) => !names.includes(table))
    .map(({ table, setting }) => {
      const near = nearest(table, names);
      const meant = near === null ? '.' : `; did you mean ${near}?`;
      return `The settings have ${setting}, and no such table is captured${meant}`;
    });
}
