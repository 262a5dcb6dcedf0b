/** How records look and where they go. */
import {
  type DraftValue,
  flag,
  listOf,
  milliseconds,
  needless,
  type PropertyRule,
  renamed,
  type SettingsDraft,
} from './settings-draft.ts';

const OPERATIONS = new Set(['c', 'u', 'd', 'r']);

function skippedOperations(draft: SettingsDraft, value: string): void {
  const skipped = listOf(value);
  for (const operation of skipped) {
    if (OPERATIONS.has(operation)) draft.add(['emit', 'skip_operations'], operation);
  }
  if (!skipped.includes('t')) draft.set(['emit', 'truncates'], true);
}

function whenNot(name: string, usual: readonly string[], message: string): PropertyRule {
  return {
    name,
    apply: (draft, { property, value }) => {
      if (!usual.includes(value.trim().toLowerCase())) draft.note(property, message);
    },
  };
}

/** A property that lists names which properties of their own begin with: one note is enough. */
function named(name: string, message: string): PropertyRule {
  return {
    name,
    apply: (draft, { property, value }) => {
      draft.note(property, message);
      for (const each of [name, ...listOf(value)]) {
        for (const part of draft.withPrefix(`${each}.`)) draft.take(part);
      }
    },
  };
}

const whole = (value: string): DraftValue => Number(value);

export const EMIT_RULES: readonly PropertyRule[] = [
  {
    name: 'topic.delimiter',
    apply: (draft, { value }) => draft.set(['emit', 'topic'], ['{name}', '{schema}', '{table}'].join(value)),
  },
  renamed('tombstones.on.delete', ['emit', 'tombstones'], flag),
  renamed('provide.transaction.metadata', ['emit', 'transaction_metadata'], flag),
  renamed('skip.messages.without.change', ['emit', 'skip_unchanged'], flag),
  {
    name: 'heartbeat.interval.ms',
    apply: (draft, { value }) => {
      if (Number(value) > 0) draft.set(['emit', 'heartbeat'], milliseconds(value));
    },
  },
  { name: 'skipped.operations', apply: (draft, { value }) => skippedOperations(draft, value) },
  renamed('topic.creation.default.partitions', ['emit', 'kafka', 'topics', 'partitions'], whole),
  {
    name: 'topic.creation.default.replication.factor',
    apply: (draft, { value }) => {
      if (Number(value) > 0) draft.set(['emit', 'kafka', 'topics', 'replication_factor'], Number(value));
    },
  },
  {
    name: /^topic\.creation\.default\.(.+)$/,
    apply: (draft, { groups, value }) => draft.set(['emit', 'kafka', 'topics', 'config', groups[0]!], value),
  },
  {
    name: /^message\.prefix\.(?:include|exclude)\.list$/,
    apply: (draft, { property }) =>
      draft.note(
        property,
        'has no equal: all logical messages go to one topic, or none with emit.messages: false',
      ),
  },
  whenNot(
    'decimal.handling.mode',
    ['precise'],
    'has an equal for string only, which is left to you: emit.profile: safe writes dates and times as text too',
  ),
  whenNot(
    'time.precision.mode',
    ['adaptive', 'adaptive_time_microseconds'],
    'has no equal but emit.profile: safe',
  ),
  whenNot('binary.handling.mode', ['bytes'], 'has no equal'),
  whenNot(
    'interval.handling.mode',
    ['numeric'],
    'has no equal but emit.profile: safe, which writes ISO 8601',
  ),
  whenNot('hstore.handling.mode', ['json'], 'has no equal'),
  {
    name: 'bigint.unsigned.handling.mode',
    apply: (draft, { property, value }) => {
      if (value === 'long') draft.set(['source', 'mysql', 'unsigned_overflow'], 'wrap');
      else draft.note(property, 'has no equal; source.mysql.unsigned_overflow: string makes the column text');
    },
  },
  whenNot('schema.name.adjustment.mode', ['none'], 'has no equal in the JSON formats'),
  whenNot('field.name.adjustment.mode', ['none'], 'has no equal'),
  whenNot('include.unknown.datatypes', ['true'], 'is on always: such columns are text'),
  whenNot('unavailable.value.placeholder', ['__debezium_unavailable_value'], 'has no equal'),
  whenNot(
    'event.processing.failure.handling.mode',
    ['fail'],
    'has no equal: a change that cannot be written goes to the dead-letter topic',
  ),
  renamed('include.schema.changes', ['emit', 'schema_changes'], flag),
  whenNot(
    'event.converting.failure.handling.mode',
    ['fail', 'warn', 'skip'],
    'has no equal: a change that cannot be written goes to the dead-letter topic',
  ),
  whenNot('include.schema.comments', ['false'], 'has no equal: comments are in no schema'),
  whenNot('enable.time.adjuster', ['false'], 'is off always: a year of two digits stays what it is'),
  needless(
    /^(?:executor\.shutdown\.timeout\.ms|max\.(?:batch|queue)\.size(?:\.in\.bytes)?|queue\.provider\..*|memory\.management\..*|poll\.(?:dispatch\.)?interval\.ms|tasks\.max|internal\.offset\.activity\.monitor\.interval\.ms)$/,
    'is not needed',
  ),
  needless(
    'custom.sanitize.pattern',
    'is not needed: what is a secret is known by where it stands, and shown nowhere',
  ),
  needless(
    /^(?:errors\..*|retriable\.restart\.connector\.wait\.ms|internal\.custom\.retriable\.exception)$/,
    'is not needed: what can be mended by waiting is tried again',
  ),
  needless(
    /^(?:notification\..*|custom\.metric\.tags|internal\.advanced\.metrics\.enable|openlineage\..*|statistics\.metrics\.enabled|extended\.headers\.enabled|guardrail\..*)$/,
    'has no equal',
  ),
  needless(
    /^(?:topic\.(?:naming\.strategy|cache\.size|heartbeat\.prefix|heartbeat\.name|transaction)|heartbeat\.topics\.prefix)$/,
    'has no equal; emit.topic and emit.routes name topics',
  ),
  needless(
    /^topic\.(?:regex|replacement|key\..*)$/,
    'is of a naming strategy by expression; emit.routes does the same, with match and topic',
  ),
  named('converters', 'has no equal'),
  named(
    'post.processors',
    'has no equal; what the log does not hold is read again where source and table allow it',
  ),
  needless(
    /^(?:sourceinfo\.struct\.maker|transaction\.metadata\.factory)$/,
    'has no equal: both blocks are as Debezium writes them by default',
  ),
  needless(
    /^exactly\.once\.support$/,
    'is not needed: delivery is exactly once unless emit.delivery says otherwise',
  ),
];
