/**
 * Walks types through Headwater: for each a table with one column, a row before the snapshot and one while
 * streaming, in both profiles. docs/type-mapping/* are checked by this.
 */
import { exactText, type Json } from './exact-json.ts';
import { EVERY_TABLE, fieldOf, type GoldenRecord, opOf } from './recording.ts';
import { runFlow } from './run-flow.ts';
import type { GoldenSource, Script } from './source.ts';

export interface TypeLine {
  /** As in CREATE TABLE. */
  readonly type: string;
  /** SQL expression, of that type by itself or when it is stored. */
  readonly example: string;
}

export interface WalkedType {
  /** `int64 · io.debezium.time.MicroTimestamp`, parameters in braces. */
  readonly schema: string;
  /** JSON text. */
  readonly value: string;
  readonly streamedSchema: string;
  readonly streamedValue: string;
}

/** `preamble` creates what the lines use, also the schema or database they are in. One result per line. */
export async function walkTypes(
  source: GoldenSource,
  profile: 'debezium' | 'safe',
  walk: {
    readonly schema: string;
    readonly preamble: readonly string[];
    readonly lines: readonly TypeLine[];
  },
): Promise<readonly WalkedType[]> {
  const creates = walk.lines.map(
    ({ type }, i) => `CREATE TABLE ${walk.schema}.t${i} (id int PRIMARY KEY, v ${type})`,
  );
  const inserts = (id: number): readonly string[] =>
    walk.lines.map(({ example }, i) => `INSERT INTO ${walk.schema}.t${i} VALUES (${id}, ${example})`);
  const script = (statements: readonly string[]): Script => ({
    sql: statements.map((statement) => `${statement};\n`).join(''),
  });
  const records = await runFlow({
    source,
    profile,
    format: 'json-with-schema',
    recording: {
      prefix: 'walk',
      tables: EVERY_TABLE,
      before: [script([...walk.preamble, ...creates, ...inserts(1)])],
      during: [script(inserts(2))],
    },
  });
  return walk.lines.map((line, i) => {
    const ofTable = records.filter(({ topic }) => topic === `walk.${walk.schema}.t${i}`);
    const snapshot = ofTable.find((record) => opOf(record) === 'r');
    const streamed = ofTable.find((record) => opOf(record) === 'c');
    if (snapshot === undefined || streamed === undefined)
      throw new Error(`No record of the type ${line.type}.`);
    return {
      schema: columnSchema(snapshot),
      value: columnValue(snapshot),
      streamedSchema: columnSchema(streamed),
      streamedValue: columnValue(streamed),
    };
  });
}

function columnValue(record: GoldenRecord): string {
  return exactText(fieldOf(fieldOf(fieldOf(record.value, 'payload'), 'after'), 'v'));
}

function columnSchema(record: GoldenRecord): string {
  const envelope = fieldOf(fieldOf(record.value, 'schema'), 'fields');
  const after = fieldNamed(envelope, 'after');
  return describe(fieldNamed(fieldOf(after, 'fields'), 'v'));
}

function fieldNamed(fields: Json, name: string): Json {
  return (
    (Array.isArray(fields) ? (fields as readonly Json[]) : []).find(
      (field) => fieldOf(field, 'field') === name,
    ) ?? null
  );
}

function describe(schema: Json): string {
  const type = fieldOf(schema, 'type');
  const items = fieldOf(schema, 'items');
  const name = fieldOf(schema, 'name');
  const parameters = fieldOf(schema, 'parameters');
  const base = items === null || name !== null ? text(type) : `array of ${describe(items)}`;
  const shortName =
    typeof name === 'string' ? ` ${name.replace('org.apache.kafka.connect.data.', 'connect ')}` : '';
  const list = Object.entries((parameters ?? {}) as Readonly<Record<string, string>>).map(
    ([k, v]) => `${k}=${v}`,
  );
  return `${base}${shortName}${list.length === 0 ? '' : ` {${list.join('; ')}}`}`;
}

function text(json: Json): string {
  return typeof json === 'string' ? json : '';
}
