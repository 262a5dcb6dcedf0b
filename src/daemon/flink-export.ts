/** The statements of a settings file as a script for Flink, given the tables as they are now. */
import { type FlinkScript, flinkScript } from '../enrichment/flink/flink-script.ts';
import { withMade } from '../enrichment/plan/declared.ts';
import { madeStatements } from '../enrichment/plan/made-statements.ts';
import { checkStatements } from '../enrichment/plan/check-statements.ts';
import { inferColumns, NOTHING_INFERRED } from '../enrichment/plan/inferred-columns.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableSchema, tableName } from '../model/table.ts';
import { SILENT } from '../observability/log.ts';
import type { Settings } from '../settings/settings.ts';
import { declaredOf, registryAccess, shownColumns } from './enrichment.ts';
import { readSinkState } from './sinks.ts';
import { openReader } from './sources/source.ts';
import { topicOf } from './topics.ts';

/** Reads the database's catalogue, and of the durable state what clients have made. Changes nothing. */
export async function exportToFlink(settings: Settings, signal: AbortSignal): Promise<FlinkScript> {
  const own = declaredOf(settings);
  const { sink, format, profile, envelope, registry } = settings.emit;
  if (own === null || sink.kind !== 'kafka')
    throw new HeadwaterError(
      'enrich.not-supported',
      `${settings.file} has ${own === null ? 'no statements (enrich.sql)' : 'no Kafka (emit.kafka), which Flink would read'}.`,
      { fix: 'Name the settings file of the pipeline whose statements another engine is to run.' },
    );
  const { all: made } = madeStatements(await readSinkState(settings, signal));
  const declared = withMade(own, { made, fresh: new Map() }, settings.name);
  const tables = await describeTables(settings, signal);
  const byName = new Map(tables.map((table) => [tableName(table.id), table]));
  const shown = shownColumns(settings);
  const access = await registryAccess(settings, SILENT);
  const reader = access?.reader ?? null;
  const program = checkStatements(declared, {
    pipeline: settings.name,
    registry: access !== null,
    inferred: await inferColumns(declared, { reader, kept: NOTHING_INFERRED, signal }),
    tables,
    shown,
    tableTopics: new Set(tables.map(({ id }) => topicOf(settings, id))),
  });
  return flinkScript({
    pipeline: settings.name,
    program,
    topics: {
      brokers: sink.brokers,
      format,
      profile,
      envelope,
      registry: registry?.urls[0] ?? null,
      describe: (id) => byName.get(tableName(id)) ?? null,
      shown,
      topicOf: (id) => topicOf(settings, id),
    },
  });
}

async function describeTables(settings: Settings, signal: AbortSignal): Promise<readonly TableSchema[]> {
  await using reader = await openReader(settings, SILENT);
  await reader.tables(signal, () => {});
  return await reader.describe(signal);
}
