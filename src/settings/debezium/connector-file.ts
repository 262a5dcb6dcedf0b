import { HeadwaterError } from '../../errors/headwater-error.ts';

/** A connector's configuration as Kafka Connect has it: names and texts. */
export interface ConnectorFile {
  /** The connector's name in Kafka Connect; null where the file has none. */
  readonly name: string | null;
  readonly properties: ReadonlyMap<string, string>;
}

/**
 * Reads what people keep of a connector: the JSON that is posted to Kafka Connect (`{"name", "config"}`), the bare
 * configuration as JSON, or a `.properties` file, also that of Debezium Server. `file` is for messages alone. Throws
 * `settings.invalid`.
 */
export function readConnectorFile(text: string, file: string): ConnectorFile {
  const json = text.trimStart().startsWith('{') ? parseObject(text, file) : null;
  if (json === null) return named(ofServer(readProperties(text)));
  const config = json['config'];
  const inner = isObject(config) ? config : json;
  const properties = new Map<string, string>();
  for (const [key, value] of Object.entries(inner)) {
    if (typeof value === 'string') properties.set(key, value);
    else if (typeof value === 'number' || typeof value === 'boolean') properties.set(key, String(value));
    else if (value !== null) {
      throw new HeadwaterError(
        'settings.invalid',
        `${file}: ${key} is neither text nor a number nor true or false`,
      );
    }
  }
  const outer = json['name'];
  const found = named(properties);
  return typeof outer === 'string' && isObject(config) ? { ...found, name: outer } : found;
}

function named(properties: Map<string, string>): ConnectorFile {
  const name = properties.get('name') ?? null;
  properties.delete('name');
  return { name, properties };
}

const SOURCE = 'debezium.source.';
/** Prefixes of Debezium Server (https://debezium.io/documentation/reference/3.2/operations/debezium-server.html). */
const SERVER_PREFIXES: readonly (readonly [string, string])[] = [
  [SOURCE, ''],
  ['debezium.sink.kafka.producer.', 'producer.override.'],
  ['debezium.transforms', 'transforms'],
  ['debezium.predicates', 'predicates'],
  ['debezium.format.key', 'key.converter'],
  ['debezium.format.value', 'value.converter'],
];
/** What Debezium Server calls the converters that Kafka Connect names by their classes. */
const CONVERTERS: ReadonlyMap<string, string> = new Map([
  ['json', 'org.apache.kafka.connect.json.JsonConverter'],
  ['avro', 'io.confluent.connect.avro.AvroConverter'],
  ['protobuf', 'io.confluent.connect.protobuf.ProtobufConverter'],
]);

/** Properties of Debezium Server as Kafka Connect would have them; what has no equal there stays as it is. */
function ofServer(properties: Map<string, string>): Map<string, string> {
  if (!properties.has(`${SOURCE}connector.class`)) return properties;
  return new Map(
    [...properties].map(([key, value]) => {
      const [from, to] = SERVER_PREFIXES.find(([prefix]) => key.startsWith(prefix)) ?? ['', ''];
      const name = to + key.slice(from.length);
      return [name, /^(?:key|value)\.converter$/.test(name) ? (CONVERTERS.get(value) ?? value) : value];
    }),
  );
}

function parseObject(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HeadwaterError('settings.invalid', `${file}: this is not well-formed JSON`, { cause });
  }
  if (isObject(value)) return value;
  throw new HeadwaterError('settings.invalid', `${file}: a connector’s configuration is a JSON object`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `java.util.Properties`: `key=value`, `key: value`, comments, continued lines, escapes. */
function readProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  const lines = text.split(/\r\n|\r|\n/);
  for (let i = 0; i < lines.length; i++) {
    let line = lines[i]!.trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(line) && i + 1 < lines.length) {
      line = line.slice(0, -1) + lines[++i]!.trimStart();
    }
    const [, key = '', value = ''] = /^((?:\\.|[^\\\s=:])*)\s*[=:]?\s*(.*)$/.exec(line) ?? [];
    if (key !== '') properties.set(unescaped(key), unescaped(value));
  }
  return properties;
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, code: string | undefined, char: string) =>
    code === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(parseInt(code, 16)),
  );
}
