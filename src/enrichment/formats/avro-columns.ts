/** The columns that a schema gives a stream which was declared without any, as ksqlDB infers them. */
import { type SqlType, STRING, type StructField } from '../sql/sql-type.ts';
import { mapEntryOf, scalarType } from './avro-reader.ts';
import type { AvroRecord, AvroType } from './avro-type.ts';
import type { FormatColumn } from './format.ts';

/** Of a schema that has no columns of SQL. The sentence says where and why. */
export class UnlikeSql extends Error {}

/** `bare`: what a value that is no record is called. Throws UnlikeSql. */
export function columnsOf(type: AvroType, bare: 'ROWKEY' | 'ROWVAL'): readonly FormatColumn[] {
  const record = present(type, bare);
  const all = { within: [], left: { fields: MOST_FIELDS } };
  if (record.kind !== 'record') return [{ name: bare, type: sqlType(record, { ...all, place: bare }) }];
  return fieldsOf(record, { ...all, place: '' });
}

interface Place {
  readonly place: string;
  /** Records around it. */
  readonly within: readonly AvroRecord[];
  /** How many more there may be in all. */
  readonly left: { fields: number };
}

/** A short schema whose records are used many times over would make more columns than memory holds. */
const MOST_FIELDS = 100_000;

function fieldsOf(record: AvroRecord, { place, within, left }: Place): readonly StructField[] {
  left.fields -= record.fields.length;
  if (left.fields < 0) throw new UnlikeSql(`${place} is one of more than ${MOST_FIELDS} fields`);
  const folded = record.fields.map(({ name }) => name.toUpperCase());
  return record.fields.map(({ name, type }, i) => {
    const upper = folded[i] ?? name;
    const inner = place === '' ? name : `${place}.${name}`;
    return {
      // Two that differ only in case keep it.
      name: folded.indexOf(upper) === folded.lastIndexOf(upper) ? upper : name,
      type: sqlType(type, { place: inner, within: [...within, record], left }),
    };
  });
}

/** What stands there where it is not null. */
function present(type: AvroType, place: string): AvroType {
  if (type.kind !== 'union') return type;
  const branches = type.branches.filter(({ kind }) => kind !== 'null');
  const [only] = branches;
  if (only === undefined || branches.length > 1)
    throw new UnlikeSql(`${place} is a union of ${branches.map(({ kind }) => kind).join(', ')}`);
  return only;
}

function sqlType(declared: AvroType, at: Place): SqlType {
  const type = present(declared, at.place);
  switch (type.kind) {
    case 'null':
    case 'union':
      throw new UnlikeSql(`${at.place} is always null`);
    case 'array': {
      const entry = type.items.kind === 'record' ? mapEntryOf(type.items) : null;
      if (entry === null) return { kind: 'ARRAY', element: sqlType(type.items, at) };
      return { kind: 'MAP', key: sqlType(entry.key, at), value: sqlType(entry.value, at) };
    }
    case 'map':
      return { kind: 'MAP', key: STRING, value: sqlType(type.values, at) };
    case 'record':
      if (at.within.includes(type)) throw new UnlikeSql(`${at.place} is a record within itself`);
      return { kind: 'STRUCT', fields: fieldsOf(type, at) };
    default:
      return scalarType(type);
  }
}
