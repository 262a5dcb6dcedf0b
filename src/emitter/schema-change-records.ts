/** Records of `<name>`: what was done to tables, as Debezium writes it (SchemaChangeKey and SchemaChangeValue of 3.2). */
import type { ColumnDescription, SchemaChange, SourceInfo, TableDescription } from '../model/change.ts';
import type { TableId } from '../model/table.ts';
import { type ConnectSchema, INT64, OPTIONAL_STRING, STRING, struct } from '../schema/connect-schema.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Encoding } from './encoders/encoder.ts';
import { encodersOf, type KeyAndValue } from './side-records.ts';

const INT32: ConnectSchema = { type: 'int32', optional: false };
const OPTIONAL_INT32: ConnectSchema = { type: 'int32', optional: true };
const OPTIONAL_BOOLEAN: ConnectSchema = { type: 'boolean', optional: true };

const COLUMN = struct({ name: 'io.debezium.connector.schema.Column', version: 1 }, [
  ['name', STRING],
  ['jdbcType', INT32],
  ['nativeType', OPTIONAL_INT32],
  ['typeName', STRING],
  ['typeExpression', OPTIONAL_STRING],
  ['charsetName', OPTIONAL_STRING],
  ['length', OPTIONAL_INT32],
  ['scale', OPTIONAL_INT32],
  ['position', INT32],
  ['optional', OPTIONAL_BOOLEAN],
  ['autoIncremented', OPTIONAL_BOOLEAN],
  ['generated', OPTIONAL_BOOLEAN],
  ['comment', OPTIONAL_STRING],
  ['defaultValueExpression', OPTIONAL_STRING],
  ['enumValues', { type: 'array', optional: true, items: STRING }],
]);

const TABLE = struct({ name: 'io.debezium.connector.schema.Table', version: 1, optional: true }, [
  ['defaultCharsetName', OPTIONAL_STRING],
  ['primaryKeyColumnNames', { type: 'array', optional: true, items: STRING }],
  ['columns', { type: 'array', optional: false, items: COLUMN }],
  ['comment', OPTIONAL_STRING],
]);

const CHANGE = struct({ name: 'io.debezium.connector.schema.Change', version: 1 }, [
  ['type', STRING],
  ['id', STRING],
  ['table', TABLE],
]);

export type SchemaChangeRecords<S extends SourceInfo> = (
  change: SchemaChange<S>,
  description: TableDescription | null,
  nowMs: number,
) => KeyAndValue;

export async function schemaChangeRecords<S extends SourceInfo>(
  encoding: Encoding,
  block: SourceBlock<S>,
  { connector, topic }: { readonly connector: SourceInfo['connector']; readonly topic: string },
): Promise<SchemaChangeRecords<S>> {
  const base = `io.debezium.connector.${connector}`;
  const { key, value } = await encodersOf(encoding, topic, {
    key: struct({ name: `${base}.SchemaChangeKey`, version: 1 }, [['databaseName', STRING]]),
    value: struct({ name: `${base}.SchemaChangeValue`, version: 1 }, [
      ['source', block.schema],
      ['ts_ms', INT64],
      ['databaseName', OPTIONAL_STRING],
      ['schemaName', OPTIONAL_STRING],
      ['ddl', OPTIONAL_STRING],
      ['tableChanges', { type: 'array', optional: false, items: CHANGE }],
    ]),
  });
  return (change, description, nowMs) => {
    const { id, at, ddl, previous } = change;
    const type = description === null ? 'DROP' : previous === null ? 'CREATE' : 'ALTER';
    const database = JSON.stringify(id.schema);
    const table = description === null ? 'null' : tableText(description);
    const changed = `{"type":"${type}","id":${JSON.stringify(quotedName(id))},"table":${table}}`;
    const source = block.forTable(id)(at, null);
    return {
      key: key.encode(`{"databaseName":${database}}`),
      value: value.encode(
        `{"source":${source},"ts_ms":${Math.floor(nowMs)},"databaseName":${database},"schemaName":null,"ddl":${JSON.stringify(ddl)},"tableChanges":[${changed}]}`,
      ),
    };
  };
}

/** `"database"."table"`, quotes within doubled. */
function quotedName({ schema, table }: TableId): string {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  return `${quoted(schema)}.${quoted(table)}`;
}

function tableText({ defaultCharset, key, columns, comment }: TableDescription): string {
  return JSON.stringify({
    defaultCharsetName: defaultCharset,
    primaryKeyColumnNames: key,
    columns: columns.map(columnFields),
    comment,
  });
}

function columnFields(column: ColumnDescription, index: number): object {
  return {
    name: column.name,
    jdbcType: column.jdbcType,
    nativeType: null,
    typeName: column.typeName,
    typeExpression: column.typeName,
    charsetName: column.charset,
    length: column.length,
    scale: column.scale,
    position: index + 1,
    optional: column.optional,
    autoIncremented: column.autoIncremented,
    generated: column.generated,
    comment: column.comment,
    defaultValueExpression: column.defaultExpression,
    enumValues: column.enumValues,
  };
}
