import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { TableId } from '../../model/table.ts';

/** A name that Oracle can have: anything but quotes and zero bytes, up to 128 bytes. */
export function quoteIdent(name: string): string {
  if (name === '' || name.includes('"') || name.includes('\0') || Buffer.byteLength(name) > 128) {
    throw new HeadwaterError(
      'internal.bug',
      'A name that Oracle cannot have was about to go into a statement.',
    );
  }
  return `"${name}"`;
}

export function quoteTable({ schema, table }: TableId): string {
  return `${quoteIdent(schema)}.${quoteIdent(table)}`;
}

export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
