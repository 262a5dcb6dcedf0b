/** What the binary formats share of a table version: its Connect schemas, and each column's JSON form. */
import type { Column } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { adjustTable, type NameAdjustment } from '../../schema/schema-names.ts';
import { type TableForm, tableForm } from '../../schema/table-form.ts';
import { columnDefaultJson } from './default-json.ts';
import type { TableEncoderOptions } from './encoder.ts';
import { type FieldWriter, jsonForm } from './json-form.ts';
import type { RowNotes } from './value-json.ts';

/** One column as a field of a record. */
export interface RowField {
  readonly index: number;
  readonly column: Column;
  readonly schema: ConnectSchema;
  /** JSON text of any value the column can hold, placeholders and specials included; notes what is not as it was. */
  readonly json: (value: Value) => string;
}

export interface RowForm {
  readonly form: TableForm;
  readonly row: readonly RowField[];
  readonly key: readonly RowField[];
  readonly notes: RowNotes;
}

/** The schemas of a table's records. */
export function tableFormOf(
  {
    table,
    key,
    fields,
    topic,
    source,
  }: Pick<TableEncoderOptions, 'table' | 'key' | 'fields' | 'topic' | 'source'>,
  { profile, names }: { readonly profile: Profile; readonly names: NameAdjustment },
): TableForm {
  const defaults = table.columns.map((column) => columnDefaultJson(column, profile));
  return adjustTable(tableForm({ table, key, fields, topic, profile, source, defaults }), names);
}

/** Of the formats whose fields are written one by one: each column with its schema and its way over JSON. */
export function rowForm(
  table: TableEncoderOptions,
  options: { readonly profile: Profile; readonly names: NameAdjustment },
): RowForm {
  const form = tableFormOf(table, options);
  const json = jsonForm(table, { profile: options.profile, withSchema: true });
  const { columns } = table.table;
  const fields = (writers: readonly FieldWriter[], record: ConnectSchema | null): readonly RowField[] =>
    writers.map(({ column: index, write }, i) => ({
      index,
      column: columns[index]!,
      schema: record!.fields![i]!.schema,
      json: write,
    }));
  return { form, row: fields(json.row, form.row), key: fields(json.key, form.key), notes: json.notes };
}
