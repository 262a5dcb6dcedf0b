/** Single message transforms: Debezium's own where they have an equal. */
import { type Draft, listOf, flag, type SettingsDraft } from './settings-draft.ts';

/** The properties of one transform, by the names behind its own; those asked for are done with. */
class Transform {
  readonly name: string;
  readonly #draft: SettingsDraft;

  constructor(draft: SettingsDraft, name: string) {
    this.#draft = draft;
    this.name = name;
  }

  take(property: string): string | null {
    return this.#draft.take(this.property(property));
  }

  property(property: string): string {
    return `transforms.${this.name}.${property}`;
  }

  /** Says which properties were not asked for. */
  noteRest(): void {
    for (const property of this.#draft.withPrefix(`transforms.${this.name}.`)) {
      if (this.#draft.isTaken(property)) continue;
      this.#draft.take(property);
      this.#draft.note(property, 'has no equal in Headwater');
    }
  }
}

type Import = (draft: SettingsDraft, transform: Transform) => void;

const IMPORTS: ReadonlyMap<string, Import> = new Map([
  ['io.debezium.transforms.ExtractNewRecordState', importUnwrap],
  ['io.debezium.transforms.ByLogicalTableRouter', importRouter('__dbz__physicalTableIdentifier')],
  // What 3.7 calls it.
  ['io.debezium.transforms.ToLogicalTopicRouter', importRouter('__dbz__sourceIdentifier')],
  ['org.apache.kafka.connect.transforms.RegexRouter', importRegexRouter],
  ['io.debezium.transforms.outbox.EventRouter', importOutbox],
]);

export function importTransforms(draft: SettingsDraft): void {
  const names = draft.take('transforms');
  for (const name of names === null ? [] : listOf(names)) {
    const transform = new Transform(draft, name);
    const type = transform.take('type') ?? '';
    const convert = IMPORTS.get(type);
    if (convert === undefined) {
      draft.note(transform.property('type'), `is ${type || 'missing'}, which has no equal in Headwater`);
      for (const property of draft.withPrefix(`transforms.${name}.`)) draft.take(property);
      continue;
    }
    const predicate = transform.take('predicate');
    if (predicate !== null) {
      draft.note(transform.property('predicate'), 'has no equal: the setting holds for every record');
    }
    convert(draft, transform);
    transform.noteRest();
  }
  // Left over from transforms that are no longer named.
  for (const property of draft.withPrefix('transforms.')) draft.take(property);
  for (const property of draft.withPrefix('predicates')) draft.take(property);
}

const DELETES: Readonly<Record<string, readonly [deletes: string, tombstones: boolean]>> = {
  drop: ['drop', false],
  none: ['drop', false],
  tombstone: ['tombstone', true],
  'delete-to-tombstone': ['tombstone', true],
  rewrite: ['rewrite', false],
  'rewrite-with-tombstone': ['rewrite', true],
};

function importUnwrap(draft: SettingsDraft, transform: Transform): void {
  draft.set(['emit', 'envelope'], 'unwrapped');
  const dropTombstones = transform.take('drop.tombstones');
  const property = 'delete.tombstone.handling.mode';
  const asked =
    transform.take(property) ??
    legacyDeletes(transform.take('delete.handling.mode'), dropTombstones === null || flag(dropTombstones));
  const [deletes, tombstones] = DELETES[asked] ?? [null, true];
  if (deletes === null) draft.note(transform.property(property), 'has a value that Headwater does not know');
  else if (deletes !== 'tombstone') {
    draft.set(['emit', 'unwrapped', 'deletes'], deletes);
    draft.set(['emit', 'tombstones'], tombstones);
  }
  const prefixes = ['add.fields.prefix', 'add.headers.prefix'].map(
    (name) => [name, transform.take(name)] as const,
  );
  for (const [name, prefix] of prefixes) {
    if (prefix !== null && prefix !== '__') draft.note(transform.property(name), 'is __ always');
  }
  for (const [name, key] of [
    ['add.fields', 'fields'],
    ['add.headers', 'headers'],
  ] as const) {
    const value = transform.take(name);
    if (value !== null)
      draft.set(
        ['emit', 'unwrapped', key],
        listOf(value).map((field) => addedField(draft, field)),
      );
  }
}

function legacyDeletes(mode: string | null, dropTombstones: boolean): string {
  if (mode === 'rewrite') return dropTombstones ? 'rewrite' : 'rewrite-with-tombstone';
  return mode === 'drop' || mode === null ? 'tombstone' : mode;
}

/** `field:newName`: the new name has no equal. */
function addedField(draft: SettingsDraft, field: string): string {
  const [name = field, other] = field.split(':');
  if (other !== undefined)
    draft.note(
      'add.fields',
      `gives ${name} the name ${other}; Headwater’s is __${name.replaceAll('.', '_')}`,
    );
  return name;
}

function importRouter(keyField: string): Import {
  return (draft, transform) => addRoute(draft, transform, keyField);
}

function addRoute(draft: SettingsDraft, transform: Transform, keyField: string): void {
  const match = transform.take('topic.regex');
  const topic = transform.take('topic.replacement');
  if (match === null || topic === null) {
    draft.note(transform.property('topic.regex'), 'or topic.replacement is missing');
    return;
  }
  const route: Draft = { match, topic };
  const enforce = transform.take('key.enforce.uniqueness');
  const name = transform.take('key.field.name') ?? keyField;
  const regex = transform.take('key.field.regex');
  const value = transform.take('key.field.replacement');
  if (enforce === null || flag(enforce)) {
    route['key_field'] = name;
    if (regex !== null && value !== null) {
      if (regex === match) route['key_value'] = value;
      else
        draft.note(
          transform.property('key.field.regex'),
          'has to be the same as topic.regex; the whole topic is used',
        );
    }
  }
  draft.add(['emit', 'routes'], route);
}

function importRegexRouter(draft: SettingsDraft, transform: Transform): void {
  const match = transform.take('regex');
  const topic = transform.take('replacement');
  if (match !== null && topic !== null) draft.add(['emit', 'routes'], { match, topic });
}

/** The properties of the outbox router and the keys of `outbox`. */
const OUTBOX_KEYS: readonly (readonly [property: string, key: string])[] = [
  ['route.by.field', 'route_by'],
  ['table.field.event.id', 'id'],
  ['table.field.event.key', 'key'],
  ['table.field.event.payload', 'payload'],
  ['table.field.event.timestamp', 'timestamp'],
];

function importOutbox(draft: SettingsDraft, transform: Transform): void {
  const tables = draft.settings['source'];
  const listed =
    typeof tables === 'object' && tables !== null && !Array.isArray(tables) ? tables['tables'] : [];
  const table = Array.isArray(listed)
    ? listed.find((each) => typeof each === 'string' && /outbox/i.test(each))
    : null;
  if (typeof table !== 'string' || /[*/]/.test(table)) {
    draft.note(transform.property('type'), 'does not say which table is the outbox; correct outbox.table');
  }
  draft.set(['outbox', 'table'], typeof table === 'string' && !/[*/]/.test(table) ? table : 'public.outbox');
  for (const [property, key] of OUTBOX_KEYS) {
    const value = transform.take(property);
    if (value !== null) draft.set(['outbox', key], value);
  }
  const topic = transform.take('route.topic.replacement');
  const regex = transform.take('route.topic.regex');
  if (topic !== null) draft.set(['outbox', 'topic'], topic.replaceAll('${routedByValue}', '{route}'));
  if (regex !== null && regex !== '(?<routedByValue>.*)') {
    draft.note(transform.property('route.topic.regex'), 'has no equal: {route} is the whole value');
  }
  for (const placement of listOf(transform.take('table.fields.additional.placement') ?? '')) {
    const [column = '', place, alias] = placement.split(':');
    if (place === 'header') draft.set(['outbox', 'headers', alias ?? column], column);
    else
      draft.note(
        transform.property('table.fields.additional.placement'),
        `has ${placement}, and only headers have an equal`,
      );
  }
  for (const same of [
    'table.expand.json.payload',
    'table.op.invalid.behavior',
    'route.tombstone.on.empty.payload',
  ]) {
    transform.take(same);
  }
}
