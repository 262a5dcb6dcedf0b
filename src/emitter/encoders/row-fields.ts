/** What the binary formats share of a table version: its Connect schemas, and each column's JSON form. */
import type { Column } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { adjustTable, type NameAdjustment } from '../../schema/schema-names.ts';
import { type TableForm, tableForm } from '../../schema/table-form.ts';
import { columnDefaultJson } from './default-json.ts';
import type { TableEncoderOptions } from './encoder.ts';
import { jsonForm } from './json-form.ts';
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
  { table, key, topic, source }: TableEncoderOptions,
  { profile, names }: { readonly profile: Profile; readonly names: NameAdjustment },
): TableForm {
  const defaults = table.columns.map((column) => columnDefaultJson(column, profile));
  return adjustTable(tableForm({ table, key, topic, profile, source, defaults }), names);
}

export function rowForm(
  table: TableEncoderOptions,
  options: { readonly profile: Profile; readonly names: NameAdjustment },
): RowForm {
  const form = tableFormOf(table, options);
  const json = jsonForm(table, { profile: options.profile, withSchema: true });
  const fields = form.row.fields ?? [];
  const row = json.row.map(({ column: index, write }): RowField => {
    const column = table.table.columns[index]!;
    return { index, column, schema: fields[index]!.schema, json: write };
  });
  return { form, row, key: table.key.map((index) => row[index]!), notes: json.notes };
}
