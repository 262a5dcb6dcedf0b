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

/** Of the two converters the value's decides; Headwater has one format for both. */
function converter(draft: SettingsDraft, property: string, value: string): void {
  const side = property.startsWith('key') ? 'key' : 'value';
  const schemas = draft.take(`${side}.converter.schemas.enable`);
  const url = draft.take(`${side}.converter.schema.registry.url`);
  for (const name of draft.withPrefix(`${side}.converter.`)) {
    if (draft.isTaken(name)) continue;
    draft.take(name);
    draft.note(name, 'has no equal; see emit.registry');
  }
  if (side === 'key') return;
  const format = formatOf(value, schemas === null || flag(schemas));
  if (format === null) {
    draft.note(property, 'is a converter without an equal; choose emit.format by hand');
    return;
  }
  if (format !== 'json') draft.set(['emit', 'format'], format);
  if (url !== null) draft.set(['emit', 'registry', 'url'], url.split(',')[0]!.trim());
}

function formatOf(converterClass: string, schemas: boolean): string | null {
  const name = converterClass.split('.').at(-1) ?? '';
  switch (name) {
    case 'JsonConverter':
      return schemas ? 'json-with-schema' : 'json';
    case 'AvroConverter':
      return 'avro';
    case 'ProtobufConverter':
      return 'protobuf';
    case 'JsonSchemaConverter':
      return 'json-schema';
    default:
      return null;
  }
}

function whenNot(name: string, usual: readonly string[], message: string): PropertyRule {
  return {
    name,
    apply: (draft, { property, value }) => {
      if (!usual.includes(value.trim().toLowerCase())) draft.note(property, message);
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
  {
    name: /^(?:key|value)\.converter$/,
    apply: (draft, { property, value }) => converter(draft, property, value),
  },
  {
    name: /^producer\.override\.compression\.type$/,
    apply: (draft, { value }) => draft.set(['emit', 'kafka', 'producer', 'compression'], value),
  },
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
    /^(?:executor\.shutdown\.timeout\.ms|max\.(?:batch|queue)\.size(?:\.in\.bytes)?|poll\.(?:dispatch\.)?interval\.ms|tasks\.max)$/,
    'is not needed',
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
  needless(/^converters(?:\..*)?$/, 'has no equal'),
  needless(
    /^post\.processors(?:\..*)?$/,
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
