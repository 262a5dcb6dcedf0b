/** A Debezium connector's configuration as a Headwater settings file. */
import type { ConnectorFile } from './connector-file.ts';
import { CONVERTER_RULES } from './converter-rules.ts';
import { EMIT_RULES } from './emit-rules.ts';
import { type Draft, matchRule, type Note, type PropertyRule, SettingsDraft } from './settings-draft.ts';
import { ORACLE_RULES } from './oracle-rules.ts';
import { PRODUCER_RULES } from './producer-rules.ts';
import { SNAPSHOT_RULES } from './snapshot-rules.ts';
import { importSource, SOURCE_RULES } from './source-rules.ts';
import { TABLE_RULES } from './table-rules.ts';
import { importTransforms } from './transform-rules.ts';

export interface ImportedConnector {
  /** What the file says, as an object in the order it is to be written. */
  readonly settings: Draft;
  /** What has no equal, is different, or is left to do, in the order of the properties. */
  readonly notes: readonly Note[];
}

const RULES: readonly PropertyRule[] = [
  ...SOURCE_RULES,
  ...ORACLE_RULES,
  ...TABLE_RULES,
  ...SNAPSHOT_RULES,
  ...EMIT_RULES,
  ...CONVERTER_RULES,
  ...PRODUCER_RULES,
];

/**
 * `brokers` are those of the Connect worker, which a connector seldom names. Throws `settings.invalid` where the file
 * is not a configuration of one of the connectors Headwater replaces.
 */
export function importConnector(file: ConnectorFile, brokers: readonly string[] | null): ImportedConnector {
  const draft = new SettingsDraft(file);
  draft.set(['emit', 'kafka', 'brokers'], brokers === null ? ['localhost:9092'] : [...brokers]);
  if (brokers === null && !file.properties.has('producer.override.bootstrap.servers'))
    draft.note(null, 'The brokers are the worker’s: correct emit.kafka.brokers.');
  importSource(draft);
  importTransforms(draft);
  noteForeignContainers(draft);
  noteHistory(draft);
  const unknown = new Map<Note, string>();
  for (const [property, value] of file.properties) {
    if (draft.isTaken(property)) continue;
    const found = matchRule(RULES, property);
    if (found === null) unknown.set(draft.note(property, 'is unknown: it is left out'), property);
    else found.rule.apply(draft, { property, value, groups: found.groups });
  }
  draft.finish();
  // Some are taken by a property that stands behind them.
  const notes = draft.notes.filter((note) => !draft.isTaken(unknown.get(note) ?? ''));
  return { settings: draft.settings, notes };
}

/** Every connector has both by inheritance; the other's is without effect there too. */
function noteForeignContainers(draft: SettingsDraft): void {
  for (const container of ['schema', 'database']) {
    for (const list of ['include', 'exclude']) {
      const property = `${container}.${list}.list`;
      if (!draft.isTaken(property) && draft.take(property) !== null) {
        draft.note(property, 'is without effect for this database');
      }
    }
  }
}

/** A dozen properties of one thing that there is not; one note is enough. */
function noteHistory(draft: SettingsDraft): void {
  const properties = ['', 'internal.'].flatMap((prefix) =>
    draft.withPrefix(`${prefix}schema.history.internal`),
  );
  for (const property of properties) draft.take(property);
  if (properties.length > 0) {
    draft.note('schema.history.internal.*', 'is not needed: versions of schemas are kept with the position');
  }
}
