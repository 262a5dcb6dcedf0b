/**
 * SQL_REDO of operations on LOBs, XML and long strings: pieces of PL/SQL rather than statements. The forms are
 * those that readers of LogMiner have met; no server of ours has confirmed them yet.
 */
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { hexBytes } from '../types/column-decoder.ts';
import type { RedoStatement } from './literal.ts';
import { parseRedo } from './parse-redo.ts';

/** Which value of which row is written to from here on. */
export interface LobTarget {
  readonly column: string;
  /** Its where clause names the row. */
  readonly row: RedoStatement;
}

/** Text, or bytes that HEXTORAW stands for. */
export type Piece = string | Buffer;

/** Codes 9 and, in some releases, 11: `… select "C" into loc_c from "S"."T" where … for update;` */
export function lobLocator(sql: string): LobTarget {
  const select = /(?:^|\s)select "([^"]+)"\s+into\s+\w+\s+from\s+/.exec(sql);
  if (select === null) throw unreadable('a LOB locator');
  const end = sql.lastIndexOf(' for update');
  return target(select[1]!, sql.slice(select.index + select[0].length, end < 0 ? sql.length : end));
}

/** Code 68: `XML DOC BEGIN:  select "C" from "S"."T" where …` or `update "S"."T" a set a."C" = XMLType(:1) where …` */
export function xmlTarget(sql: string): LobTarget {
  const select = /^XML DOC BEGIN:\s+select "([^"]+)" from /.exec(sql);
  return select === null
    ? updateTarget(sql, 'an XML document')
    : target(select[1]!, sql.slice(select[0].length));
}

/** Code 91: `DECLARE … Stmt := 'update "S"."T" set "C" = :C where … ';` */
export function longStringTarget(sql: string): LobTarget {
  const begin = sql.indexOf("Stmt := '");
  const end = sql.lastIndexOf("'");
  if (begin < 0 || end < begin + 9) throw unreadable('a long string');
  return updateTarget(
    sql
      .slice(begin + 9, end)
      .replaceAll("''", "'")
      .trim(),
    'a long string',
  );
}

export interface LobWrite {
  readonly data: Piece;
  /** Characters, or bytes of a BLOB. */
  readonly length: number;
  /** From 1. */
  readonly offset: number;
}

/** Code 10: ` buf_c := 'text';\n  dbms_lob.write(loc_c, 4, 1, buf_c);` */
export function lobWrite(sql: string): LobWrite {
  const call = sql.lastIndexOf('dbms_lob.write(');
  const numbers = /^dbms_lob\.write\(\s*\w+\s*,\s*(\d{1,15})\s*,\s*(\d{1,15})\s*,/.exec(
    sql.slice(call < 0 ? sql.length : call),
  );
  const assignment = /^\s*\w+ := /.exec(sql);
  const end = sql.lastIndexOf(';', call);
  if (numbers === null || assignment === null || end < 0) throw unreadable('a write into a LOB');
  const data = piece(sql.slice(assignment[0].length, end).trim(), 'a write into a LOB');
  return { data, length: Number(numbers[1]), offset: Number(numbers[2]) };
}

/** Code 11: the new length; null where the text is a locator. */
export function lobTrim(sql: string): number | null {
  const match = /dbms_lob\.trim\(\s*\w+\s*,\s*(\d{1,15})\s*\)/.exec(sql);
  return match === null ? null : Number(match[1]);
}

/** Code 70: `XML_REDO := '…':len`, `XML_REDO := HEXTORAW('…'):len`, `XML_REDO := NULL`, or the text itself. */
export function xmlPiece(sql: string): Piece | null {
  if (!sql.startsWith('XML_REDO := ')) return sql;
  const text = sql.slice(12);
  if (/^NULL\b/.test(text)) return null;
  const end = text.lastIndexOf(':');
  const value = text.slice(0, end < 0 ? text.length : end).trim();
  // The apostrophe before the parenthesis may be missing.
  const hex = /^HEXTORAW\('([0-9A-Fa-f]*)'?\)$/.exec(value);
  return hex === null ? piece(value, 'a piece of XML') : hexBytes(hex[1]!);
}

/** Code 92: ` buf_c := '…'; …;` */
export function longStringPiece(sql: string): string {
  const begin = sql.indexOf("'");
  const end = sql.lastIndexOf("'", sql.lastIndexOf(';', sql.lastIndexOf(';') - 1));
  if (begin < 0 || end <= begin) throw unreadable('a piece of a long string');
  return sql.slice(begin + 1, end).replaceAll("''", "'");
}

function updateTarget(sql: string, what: string): LobTarget {
  const head =
    /^update ("[^"]+"\."[^"]+")(?: (\w+))? set (?:\w+\.)?"([^"]+)" = (?:XMLType\(:\w+\)|:\w+)\s+/i.exec(sql);
  if (head === null) throw unreadable(what);
  const alias = head[2] === undefined ? '' : ` ${head[2]}`;
  return target(head[3]!, `${head[1]!}${alias} ${sql.slice(head[0].length)}`);
}

/** A table and a where clause are what a delete has. */
function target(column: string, tableAndWhere: string): LobTarget {
  return { column, row: parseRedo(`delete from ${tableAndWhere}`) };
}

function piece(text: string, what: string): Piece {
  const hex = /^HEXTORAW\('([0-9A-Fa-f]*)'\)$/.exec(text);
  if (hex !== null) return hexBytes(hex[1]!);
  if (!text.startsWith("'") || !text.endsWith("'") || text.length < 2) throw unreadable(what);
  return text.slice(1, -1).replaceAll("''", "'");
}

function unreadable(what: string): HeadwaterError {
  return new HeadwaterError('source.redo-unreadable', `The redo of ${what} is not in a form that is known.`);
}
