import type { ColumnTypes } from '../daemon/column-types.ts';
import type { ColumnType } from '../model/table.ts';

type Row = Readonly<Record<string, unknown>>;

/** A row of Debezium's profile with its decimals, base64 of unscaled bytes, as numbers that people can read. */
export function readableDecimals(row: Row, types: ColumnTypes): Row {
  const columns = Object.entries(row).map(
    ([name, value]) => [name, readable(value, types.get(name))] as const,
  );
  return Object.fromEntries(columns);
}

function readable(value: unknown, type: ColumnType | undefined): unknown {
  if (type?.kind === 'array' && Array.isArray(value))
    return value.map((each) => readable(each, type.element));
  if (type?.kind !== 'decimal') return value;
  if (typeof value === 'string' && type.scale !== null) return decimalText(value, type.scale) ?? value;
  return isScaled(value) ? (decimalText(value.value, value.scale) ?? value) : value;
}

/** Connect's VariableScaleDecimal. */
function isScaled(value: unknown): value is { readonly scale: number; readonly value: string } {
  if (typeof value !== 'object' || value === null || !('scale' in value) || !('value' in value)) return false;
  return Number.isSafeInteger(value.scale) && typeof value.value === 'string';
}

/** Undefined where the text is no base64 of at least a byte. */
function decimalText(base64: string, scale: number): string | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  const unscaled = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
  const sign = unscaled < 0n ? '-' : '';
  const digits = String(unscaled < 0n ? -unscaled : unscaled);
  if (scale <= 0) return `${sign}${digits}${digits === '0' ? '' : '0'.repeat(-scale)}`;
  const padded = digits.padStart(scale + 1, '0');
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}
