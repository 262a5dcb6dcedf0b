/**
 * Names that a schema language does not allow, and what is made of them. `avro` and `avro_unicode` are
 * Debezium's `schema.name.adjustment.mode` and `field.name.adjustment.mode` (SchemaNameAdjuster of 3.2).
 */
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { ConnectSchema } from './connect-schema.ts';
import type { TableForm } from './table-form.ts';

export type NameAdjustment = 'none' | 'avro' | 'avro_unicode';

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The schema with the names of its records adjusted. */
export function adjustNames(schema: ConnectSchema, mode: NameAdjustment): ConnectSchema {
  if (mode === 'none') return schema;
  const { name, items, fields } = schema;
  return {
    ...schema,
    ...(name === undefined ? {} : { name: adjusted(name, mode, /[A-Za-z0-9_.]/) }),
    ...(items === undefined ? {} : { items: adjustNames(items, mode) }),
    ...(fields === undefined
      ? {}
      : { fields: fields.map(({ field, schema: inner }) => ({ field, schema: adjustNames(inner, mode) })) }),
  };
}

/** The schemas of a table's records with the names of their columns adjusted too. */
export function adjustTable(form: TableForm, mode: NameAdjustment): TableForm {
  if (mode === 'none') return form;
  const image = (schema: ConnectSchema): ConnectSchema => ({
    ...adjustNames(schema, mode),
    fields: (schema.fields ?? []).map(({ field, schema: inner }) => ({
      field: adjusted(field, mode, /[A-Za-z0-9_]/),
      schema: adjustNames(inner, mode),
    })),
  });
  const row = image(form.row);
  const fields = (form.envelope.fields ?? []).map(({ field, schema }) => ({
    field,
    schema: schema === form.row ? row : adjustNames(schema, mode),
  }));
  return {
    key: form.key === null ? null : image(form.key),
    row,
    envelope: { ...adjustNames(form.envelope, mode), fields },
  };
}

/** `allowed` is about all characters but the first, which cannot be a digit or a dot. */
function adjusted(name: string, mode: 'avro' | 'avro_unicode', allowed: RegExp): string {
  let text = '';
  for (let i = 0; i < name.length; i++) {
    const c = name[i]!;
    // An underscore begins an escape in avro_unicode, so it is escaped itself.
    const fits = (i === 0 ? /[A-Za-z_]/ : allowed).test(c) && !(mode === 'avro_unicode' && c === '_');
    text += fits ? c : mode === 'avro' ? '_' : `_u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  }
  return text;
}

/**
 * Throws `schema.name-invalid` where a record or field has a name that Avro and Protobuf do not allow, or two
 * fields of a record have the same one after adjustment.
 */
export function checkNames(schema: ConnectSchema, format: string): void {
  if (schema.items !== undefined) checkNames(schema.items, format);
  if (schema.fields === undefined) return;
  const invalid = (what: string): HeadwaterError =>
    new HeadwaterError('schema.name-invalid', `${what}.`, { details: { record: schema.name ?? null } });
  const record = schema.name ?? '';
  if (!record.split('.').every((part) => IDENTIFIER.test(part)))
    throw invalid(`The record name ${record} is not one that ${format} allows`);
  const seen = new Set<string>();
  for (const { field, schema: inner } of schema.fields) {
    if (!IDENTIFIER.test(field))
      throw invalid(`The column name ${JSON.stringify(field)} of ${record} is not one that ${format} allows`);
    if (seen.has(field)) throw invalid(`Two columns of ${record} have the name ${field} once it is adjusted`);
    seen.add(field);
    checkNames(inner, format);
  }
}
