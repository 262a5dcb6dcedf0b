/** docs/type-mapping/oracle.md, line by line: what it says, and what the reader and the encoder make of it. */
import { valueWriter } from '../../../src/emitter/encoders/value-json.ts';
import { unavailableJson } from '../../../src/emitter/encoders/placeholders.ts';
import { UNCHANGED, type Value } from '../../../src/model/value.ts';
import { parseRedo } from '../../../src/readers/oracle/redo/parse-redo.ts';
import { rowImages } from '../../../src/readers/oracle/redo/row-images.ts';
import { type Profile, typeSchema } from '../../../src/schema/column-schema.ts';
import { modelOf } from './table-models.ts';

export interface TypeLine {
  readonly type: string;
  /** As SQL_REDO has it; null where it does not have values of the type. */
  readonly redo: string | null;
  /** As the snapshot's SELECT gives it; null where the line has none. Bytes as hex. */
  readonly row: string | null;
  readonly debezium: { readonly schema: string; readonly value: string };
  readonly safe: { readonly schema: string; readonly value: string };
}

export function parseTypeLines(markdown: string): readonly TypeLine[] {
  const lines: TypeLine[] = [];
  for (const line of markdown.split('\n')) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
    if (cells.length !== 9 || !cells[1]!.startsWith('`')) continue;
    const [type, redo, row, schema, value, safeSchema, safeValue] = cells
      .slice(1, 8)
      .map((cell) => (cell.startsWith('`') ? cell.slice(1, -1) : ''));
    lines.push({
      type: type!,
      redo: redo === '' ? null : redo!,
      row: row === '' ? null : row!,
      debezium: { schema: schema!, value: value! },
      safe: { schema: safeSchema!, value: safeValue! },
    });
  }
  return lines;
}

/** The schema, the value out of the redo log, and the value out of a snapshot. */
export function walkType(
  { type, redo, row }: Pick<TypeLine, 'type' | 'redo' | 'row'>,
  profile: Profile,
): { readonly schema: string; readonly streamed: string | null; readonly read: string | null } {
  const model = modelOf({ V: type });
  const column = model.schema.columns[0]!;
  const notes = { absent: null, unavailable: null, special: null };
  const write = valueWriter(column, {
    profile,
    withSchema: true,
    optional: true,
    required: null,
    unavailable: unavailableJson(column, profile),
    notes,
  });
  const insert = (): Value =>
    rowImages(parseRedo(`insert into "HR"."STAFF"("V") values (${redo!});`), model).after![0] ?? null;
  const decoder = model.decoders[0]!;
  const bytes = column.type.kind === 'bytes';
  const read = row === null ? null : decoder.fromRow(bytes ? Buffer.from(row, 'hex') : row);
  return {
    schema: schemaText(typeSchema(column.type, profile)),
    streamed: redo === null ? null : write(insert()),
    read: row === null ? null : write(read ?? UNCHANGED),
  };
}

function schemaText({ type, name, parameters }: ReturnType<typeof typeSchema>): string {
  const list = Object.entries(parameters ?? {}).map(([key, value]) => `${key}=${value}`);
  const shortName =
    name === undefined ? '' : ` ${name.replace('org.apache.kafka.connect.data.', 'connect ')}`;
  return `${type}${shortName}${list.length === 0 ? '' : ` {${list.join('; ')}}`}`;
}
