import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue, PositionCodec } from '../../model/position.ts';
import type { TableId } from '../../model/table.ts';
import { containsAll, type GtidSet, parseGtidSet } from './gtid/gtid-set.ts';
import { MysqlGtidSet } from './gtid/mysql-gtid-set.ts';

/**
 * Where the log is resumed (docs/decisions: position format).
 *
 * Every transaction in `gtids`, or, where that is null because the server has no GTIDs, every one that ends at or
 * before `pos` of `file`, has been delivered. With GTIDs file and offset are those of the server that was read, for
 * people. `mid` says how far the transaction that comes next was delivered. What is prepared (XA) and not decided counts as
 * delivered, and is read again: from `prepared` on.
 */
export interface MysqlPosition extends LogStart {
  readonly mid: MidTransaction | null;
  readonly prepared: PreparedStart | null;
}

/** Where a dump begins. */
export interface LogStart {
  readonly gtids: GtidSet | null;
  readonly file: string;
  readonly pos: number;
}

/**
 * Where a restart begins to read: MySQL's GTIDs without those of the prepared transactions; elsewhere where the oldest
 * of them begins.
 */
export interface PreparedStart extends LogStart {
  /** Of those that were not decided, as binlog/prepared-transactions.ts writes them. */
  readonly xids: readonly string[];
}

/** Where a dump begins, so that what is prepared comes again. */
export function startOfReading({ gtids, file, pos, prepared }: MysqlPosition): LogStart {
  const start = prepared ?? { gtids, file, pos };
  return { gtids: start.gtids, file: start.file, pos: start.pos };
}

/**
 * Rows events of all tables, captured or not, so that the count means the same after the settings have changed; and
 * rows of the event after them. Another server cuts a transaction into other events: there the changes of each table
 * count, and events and rows are 0.
 */
export interface MidTransaction {
  /** Its GTID, or `file:offset` where it begins. */
  readonly tx: string;
  readonly events: number;
  readonly rows: number;
  /** Changes of captured tables; null where another server may have them in another order. */
  readonly tables: readonly TableChanges[] | null;
}

export interface TableChanges {
  readonly id: TableId;
  readonly changes: number;
}

/** A place that is told by tables alone. */
export function byTables(
  mid: MidTransaction,
): mid is MidTransaction & { readonly tables: readonly TableChanges[] } {
  return mid.events === 0 && mid.rows === 0 && mid.tables !== null;
}

/** As another server has the place, of the tables that are captured by now; null where it cannot be told there. */
export function midElsewhere(
  { tx, tables }: MidTransaction,
  isCaptured: (id: TableId) => boolean,
): MidTransaction | null {
  const known = tables?.filter(({ id, changes }) => changes > 0 && isCaptured(id)) ?? [];
  return known.length === 0 ? null : { tx, events: 0, rows: 0, tables: known };
}

const FILE = /^[^/\0]{1,512}$/;

/**
 * JSON form: `{"gtid":"…","file":"binlog.000003","pos":1234}`; `gtid` is absent without GTIDs; inside a transaction
 * also `"mid":{"tx":"…:57","events":1200,"rows":3,"tables":[["shop","orders",9600]]}`; while a transaction is prepared
 * and not decided also `"prepared":{"gtid","file","pos","xids":["x'61',x'',1"]}`.
 */
export const MYSQL_POSITIONS: PositionCodec<MysqlPosition> = {
  encode({ mid, prepared, ...start }) {
    return {
      ...encodeStart(start),
      ...(mid === null ? {} : { mid: encodeMid(mid) }),
      ...(prepared === null ? {} : { prepared: { ...encodeStart(prepared), xids: prepared.xids } }),
    };
  },
  decode(json) {
    const start = decodeStart(json);
    const { mid = null, prepared = null } = isRecord(json) ? json : {};
    return { ...start, mid: decodeMid(mid), prepared: decodePrepared(prepared) };
  },
  compare(a, b) {
    if (a.gtids !== null && b.gtids !== null) {
      const ahead = containsAll(a.gtids, b.gtids);
      const behind = containsAll(b.gtids, a.gtids);
      if (ahead && behind) return compareMid(a.mid, b.mid);
      return ahead ? 1 : behind ? -1 : null;
    }
    const files = compareFiles(a.file, b.file);
    if (files !== 0) return files;
    return a.pos === b.pos ? compareMid(a.mid, b.mid) : a.pos - b.pos;
  },
  insideTransaction({ mid }) {
    return mid !== null;
  },
};

/** Names end in a number that grows; null where they are of two series. */
export function compareFiles(a: string, b: string): number | null {
  const [baseA, numberA] = splitFile(a);
  const [baseB, numberB] = splitFile(b);
  return baseA === baseB ? numberA - numberB : null;
}

function splitFile(file: string): readonly [string, number] {
  const dot = file.lastIndexOf('.');
  return [file.slice(0, dot), Number(file.slice(dot + 1))];
}

function compareMid(a: MidTransaction | null, b: MidTransaction | null): number | null {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1);
  if (a.tx !== b.tx) return null;
  return a.events === b.events ? a.rows - b.rows : a.events - b.events;
}

function encodeStart({ gtids, file, pos }: LogStart): { readonly [key: string]: JsonValue } {
  const flavour = gtids === null || gtids instanceof MysqlGtidSet ? {} : { flavour: 'mariadb' };
  return {
    ...(gtids === null ? {} : { gtid: gtids.toString() }),
    ...(gtids !== null && gtids.isEmpty ? flavour : {}),
    file,
    pos,
  };
}

function decodeStart(json: JsonValue): LogStart {
  if (!isRecord(json)) throw invalid();
  const { gtid, file, pos } = json;
  if (typeof file !== 'string' || !FILE.test(file)) throw invalid();
  if (!isCount(pos)) throw invalid();
  return { gtids: decodeGtids(gtid, json['flavour']), file, pos };
}

function decodePrepared(json: JsonValue): PreparedStart | null {
  if (json === null) return null;
  const start = decodeStart(json);
  const xids: JsonValue | undefined = isRecord(json) ? json['xids'] : undefined;
  if (!Array.isArray(xids)) throw invalid();
  return {
    ...start,
    xids: xids.map((xid: JsonValue) => {
      if (typeof xid !== 'string') throw invalid();
      return xid;
    }),
  };
}

function decodeGtids(gtid: JsonValue | undefined, flavour: JsonValue | undefined): GtidSet | null {
  if (gtid === undefined || gtid === null) return null;
  if (typeof gtid !== 'string') throw invalid();
  const mariadb = flavour === 'mariadb' || /^\s*\d+-\d+-\d+/.test(gtid);
  const set = parseGtidSet(gtid, mariadb ? 'mariadb' : 'mysql');
  if (set === null) throw invalid();
  return set;
}

function encodeMid({ tx, events, rows, tables }: MidTransaction): JsonValue {
  const listed = tables?.map(({ id, changes }) => [id.schema, id.table, changes]);
  return { tx, events, rows, ...(listed === undefined ? {} : { tables: listed }) };
}

function decodeMid(mid: JsonValue): MidTransaction | null {
  if (mid === null) return null;
  if (!isRecord(mid)) throw invalid();
  const { tx, events, rows } = mid;
  if (typeof tx !== 'string' || !isCount(events) || !isCount(rows)) throw invalid();
  return { tx, events, rows, tables: decodeTables(mid['tables']) };
}

/** Null for what was written before there were any. */
function decodeTables(json: JsonValue | undefined): readonly TableChanges[] | null {
  if (json === undefined) return null;
  if (!Array.isArray(json)) throw invalid();
  return json.map((each: JsonValue) => {
    if (!Array.isArray(each)) throw invalid();
    const [schema, table, changes] = each as readonly JsonValue[];
    if (typeof schema !== 'string' || typeof table !== 'string' || !isCount(changes)) throw invalid();
    return { id: { schema, table }, changes };
  });
}

function isCount(json: JsonValue | undefined): json is number {
  return typeof json === 'number' && Number.isSafeInteger(json) && json >= 0;
}

function isRecord(json: JsonValue): json is { readonly [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function invalid(): HeadwaterError {
  return new HeadwaterError(
    'state.position-invalid',
    'A MySQL position has the form {"gtid":"…","file":"binlog.000003","pos":1234}, the first only with GTIDs, with "mid":{"tx","events","rows"} inside a transaction.',
  );
}
