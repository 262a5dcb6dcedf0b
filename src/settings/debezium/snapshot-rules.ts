import {
  listOf,
  literalName,
  needless,
  type PropertyRule,
  renamed,
  type SettingsDraft,
} from './settings-draft.ts';

const MODES: Readonly<Record<string, string>> = {
  initial: 'initial',
  initial_only: 'initial_only',
  always: 'always',
  when_needed: 'when_needed',
  no_data: 'no_data',
  never: 'no_data',
  schema_only: 'no_data',
  recovery: 'no_data',
  schema_only_recovery: 'no_data',
};

/** The condition of `SELECT * FROM table WHERE condition`; null for any other statement. */
function conditionOf(statement: string): string | null {
  const match = /^\s*select\s+\*\s+from\s+[^\s]+(?:\s+where\s+([\s\S]*?))?\s*;?\s*$/i.exec(statement);
  const condition = match?.[1] ?? null;
  return condition === null || /\b(?:order|group)\s+by\b|\blimit\b/i.test(condition) ? null : condition;
}

function override(draft: SettingsDraft, property: string, value: string, table: string): void {
  const condition = conditionOf(value);
  if (condition === null) {
    draft.note(
      property,
      'is more than a WHERE over the whole table; write its condition into snapshot.where',
    );
  } else draft.set(['snapshot', 'where', table], condition);
}

export const SNAPSHOT_RULES: readonly PropertyRule[] = [
  {
    name: 'snapshot.mode',
    apply: (draft, { property, value }) => {
      const mode = MODES[value.toLowerCase()];
      if (mode === undefined) draft.note(property, `has no equal for ${value}; choose snapshot.mode by hand`);
      else if (mode !== 'initial') draft.set(['snapshot', 'mode'], mode);
      if (value.toLowerCase().endsWith('recovery')) {
        draft.note(property, 'is no_data: there is no schema history that would have to be recovered');
      }
    },
  },
  renamed('snapshot.max.threads', ['snapshot', 'parallelism'], Number),
  {
    name: 'snapshot.select.statement.overrides',
    apply: (draft, { value }) => {
      for (const table of listOf(value)) {
        const property = `snapshot.select.statement.overrides.${table}`;
        const statement = draft.take(property);
        if (statement === null)
          draft.note('snapshot.select.statement.overrides', `has no statement for ${table}`);
        else
          override(draft, property, statement, (literalName(table) ?? table).split('.').slice(-2).join('.'));
      }
    },
  },
  {
    name: 'snapshot.include.collection.list',
    apply: (draft, { property }) =>
      draft.note(
        property,
        'has no equal; a condition of false in snapshot.where leaves a table out of the snapshot',
      ),
  },
  needless(
    /^snapshot\.(?:isolation|locking)\.mode(?:\.custom\.name)?$/,
    'is not needed: no writer waits for the snapshot',
  ),
  needless(
    /^(?:snapshot\.lock\.timeout\.ms|snapshot\.fetch\.size|min\.row\.count\.to\.stream\.results|query\.fetch\.size)$/,
    'is not needed',
  ),
  needless(/^(?:snapshot|streaming)\.delay\.ms$/, 'has no equal'),
  needless(
    /^snapshot\.tables\.order\.by\.row\.count$/,
    'is not needed: large tables are read in parallel parts',
  ),
  needless(
    /^incremental\.snapshot\..*$/,
    'is not needed: chunks are read between watermarks without writing any',
  ),
  needless(
    /^snapshot\.mode\.(?:configuration\.based\..*|custom\.name)$/,
    'has no equal; choose snapshot.mode by hand',
  ),
  needless(
    /^snapshot\.query\.mode(?:\.custom\.name)?$/,
    'has no equal: the columns that records show are what is read; rows are chosen by snapshot.where',
  ),
  needless(
    'internal.snapshot.scan.all.columns.force',
    'is not needed: the captured tables alone are described',
  ),
  needless(
    /^(?:(?:internal\.)?legacy\.snapshot\.max\.threads|snapshot\.max\.threads\.multiplier)$/,
    'is not needed',
  ),
];
