/**
 * Geometry as MySQL and MariaDB store it, send it and log it: the SRID in four bytes, little-endian, and WKB
 * (byte order, type, coordinates). https://dev.mysql.com/doc/refman/9.0/en/gis-data-formats.html
 */
import type { Value } from '../../../model/value.ts';
import { unreadableValue } from '../../unreadable-value.ts';

const HEADER = 5;
const POINT = 1;

/** As model/table.ts has `point` and `geometry`; SRID 0, which means none, is null. */
export function geometryValue(dataType: string, bytes: Buffer): Value {
  if (bytes.length < 4 + HEADER) throw unreadableValue(dataType);
  const srid = bytes.readUInt32LE(0) || null;
  const wkb = bytes.subarray(4);
  if (dataType !== 'point') return [wkb, srid];
  const little = wkb[0] === 1;
  const type = little ? wkb.readUInt32LE(1) : wkb.readUInt32BE(1);
  if (type !== POINT || wkb.length < HEADER + 16) throw unreadableValue(dataType);
  const x = little ? wkb.readDoubleLE(HEADER) : wkb.readDoubleBE(HEADER);
  const y = little ? wkb.readDoubleLE(HEADER + 8) : wkb.readDoubleBE(HEADER + 8);
  return [x, y, wkb, srid];
}
