import { type MariadbGtid, MariadbGtidSet, parseMariadbGtid } from './mariadb-gtid-set.ts';
import { GrowingMysqlGtidSet, MysqlGtidSet } from './mysql-gtid-set.ts';

export type GtidSet = MysqlGtidSet | MariadbGtidSet;

/** One transaction's: of MySQL the source (`uuid` or `uuid:tag`) and its number. */
export type Gtid = { readonly source: string; readonly number: number } | MariadbGtid;

/** Null where the text is no GTID set of that kind of server. */
export function parseGtidSet(text: string, flavour: 'mysql' | 'mariadb'): GtidSet | null {
  return flavour === 'mysql' ? MysqlGtidSet.parse(text) : MariadbGtidSet.parse(text);
}

/** `uuid:5`, `uuid:tag:5` or `0-1-5`. */
function parseGtid(text: string): Gtid | null {
  const mariadb = parseMariadbGtid(text);
  if (mariadb !== null) return mariadb;
  const colon = text.lastIndexOf(':');
  const number = Number(text.slice(colon + 1));
  return colon < 36 || !Number.isSafeInteger(number) ? null : { source: text.slice(0, colon), number };
}

/** False also where set and other are not of the same kind of server. */
export function containsAll(set: GtidSet, other: GtidSet): boolean {
  if (set instanceof MysqlGtidSet) return other instanceof MysqlGtidSet && set.contains(other);
  return other instanceof MariadbGtidSet && set.contains(other);
}

/** Whether the transaction is in the set; false for what is no GTID. */
export function containsGtid(set: GtidSet, text: string): boolean {
  const gtid = parseGtid(text);
  if (gtid === null) return false;
  if ('domain' in gtid) return set instanceof MariadbGtidSet && set.has(gtid);
  return set instanceof MysqlGtidSet && set.has(gtid.source, gtid.number);
}

/** With these transactions of MySQL's too. */
export function withGtids(set: GtidSet, gtids: readonly string[]): GtidSet {
  if (!(set instanceof MysqlGtidSet) || gtids.length === 0) return set;
  const grown = new GrowingMysqlGtidSet(set);
  for (const text of gtids) {
    const gtid = parseGtid(text);
    if (gtid !== null && 'number' in gtid) grown.add(gtid.source, gtid.number);
  }
  return grown.freeze();
}
