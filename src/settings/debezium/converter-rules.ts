/** What makes bytes of the connector's records, and the registry that it asks. */
import { keepSecret } from './kept-secret.ts';
import { flag, type PropertyRule, type SettingsDraft } from './settings-draft.ts';

const REGISTRY = ['emit', 'registry'] as const;
const PASSWORD = 'HEADWATER_REGISTRY_PASSWORD';

const SUBJECTS: Readonly<Record<string, string>> = {
  TopicNameStrategy: 'topic',
  RecordNameStrategy: 'record',
  TopicRecordNameStrategy: 'topic-record',
};

/** Of the two converters the value's decides; Headwater has one format for both. */
function converter(draft: SettingsDraft, property: string, value: string): void {
  const side = property.startsWith('key') ? 'key' : 'value';
  const part = (name: string): string => `${side}.converter.${name}`;
  const schemas = draft.take(part('schemas.enable'));
  const url = draft.take(part('schema.registry.url'));
  const settings: SettingsDraft | null = side === 'key' ? null : draft;
  if (settings !== null) importLogin(settings, part);
  const subject = draft.take(part(`${side}.subject.name.strategy`));
  for (const name of draft.withPrefix(`${side}.converter.`)) {
    if (draft.isTaken(name)) continue;
    draft.take(name);
    // A login or a strategy that both converters have is told of once.
    if (settings === null && draft.connector.properties.has(name.replace(/^key/, 'value'))) continue;
    draft.note(name, 'has no equal; see emit.registry');
  }
  if (settings === null) return;
  const format = formatOf(value, schemas === null || flag(schemas));
  if (format === null) {
    draft.note(property, 'is a converter without an equal; choose emit.format by hand');
    return;
  }
  if (format !== 'json') draft.set(['emit', 'format'], format);
  if (url !== null) importUrl(draft, part('schema.registry.url'), url);
  if (subject !== null) {
    const name = SUBJECTS[subject.split('.').at(-1) ?? ''];
    if (name === undefined) draft.note(part('value.subject.name.strategy'), 'has no equal');
    else if (name !== 'topic') draft.set([...REGISTRY, 'subject'], name);
  }
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

/** `user:password@` in an address belongs into `auth`, and its password nowhere. */
function importUrl(draft: SettingsDraft, property: string, value: string): void {
  const urls = value.split(',').map((each) => each.trim());
  const bare = urls.map((each) => each.replace(/^(https?:\/\/)[^/?#]*@/i, '$1'));
  draft.set([...REGISTRY, 'url'], bare.length === 1 ? bare[0]! : bare);
  const login = /^https?:\/\/([^/?#]*)@/i.exec(urls.find((each, index) => each !== bare[index]) ?? '')?.[1];
  if (login !== undefined) importUserInfo(draft, property, login);
}

function importLogin(draft: SettingsDraft, part: (name: string) => string): void {
  draft.take(part('basic.auth.credentials.source'));
  draft.take(part('bearer.auth.credentials.source'));
  for (const name of ['basic.auth.user.info', 'schema.registry.basic.auth.user.info']) {
    const info = draft.take(part(name));
    if (info !== null) importUserInfo(draft, part(name), info);
  }
  const token = draft.take(part('bearer.auth.token'));
  if (token === null) return;
  const path = [...REGISTRY, 'auth', 'token'];
  keepSecret(draft, {
    property: part('bearer.auth.token'),
    value: token,
    path,
    variable: 'HEADWATER_REGISTRY_TOKEN',
  });
}

/** `user:password`; one that is a reference as a whole has its user in it too. */
function importUserInfo(draft: SettingsDraft, property: string, info: string): void {
  const whole = info.startsWith('${') || !info.includes(':');
  const [user = '', ...password] = whole ? ['', info] : info.split(':');
  draft.set([...REGISTRY, 'auth', 'username'], user);
  if (user === '')
    draft.note(property, 'has its user where this cannot see it; write emit.registry.auth.username');
  const path = [...REGISTRY, 'auth', 'password'];
  keepSecret(draft, { property, value: whole ? '' : password.join(':'), path, variable: PASSWORD });
}

export const CONVERTER_RULES: readonly PropertyRule[] = [
  {
    name: /^(?:key|value)\.converter$/,
    apply: (draft, { property, value }) => converter(draft, property, value),
  },
];
