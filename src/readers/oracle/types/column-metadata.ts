/**
 * A column as ALL_TAB_COLS has it, kept as plain data: it goes into the durable history of a table, and is what
 * types and decoders are made from.
 */
export interface OracleColumn {
  readonly name: string;
  /** DATA_TYPE without length or precision: `NUMBER`, `TIMESTAMP WITH TIME ZONE`, `INTERVAL DAY TO SECOND`. */
  readonly dataType: string;
  /** Characters of text types, bytes of RAW; null elsewhere. */
  readonly length: number | null;
  /** Digits of NUMBER, binary digits of FLOAT; null where not declared. */
  readonly precision: number | null;
  /** Of NUMBER; of TIMESTAMP and INTERVAL DAY TO SECOND the fraction digits. */
  readonly scale: number | null;
  readonly nullable: boolean;
  /** The default's SQL text; null where there is none. */
  readonly default: string | null;
  /** Stored with the row and no column to users: invisible, unused, or Oracle's own. */
  readonly hidden?: true;
  /** Has no bytes of its own: they are in hidden columns behind it (XMLTYPE, object types). */
  readonly apart?: true;
}

/** What users see of a table. */
export function visibleColumns(columns: readonly OracleColumn[]): readonly OracleColumn[] {
  return columns.filter(({ hidden }) => hidden !== true);
}

export interface DataType {
  readonly dataType: string;
  readonly length: number | null;
  readonly precision: number | null;
  readonly scale: number | null;
}

const SYNONYMS: Readonly<Record<string, DataType>> = {
  INTEGER: number(38, 0),
  INT: number(38, 0),
  SMALLINT: number(38, 0),
  REAL: { dataType: 'FLOAT', length: null, precision: 63, scale: null },
  'DOUBLE PRECISION': { dataType: 'FLOAT', length: null, precision: 126, scale: null },
};

const LENGTHS: ReadonlySet<string> = new Set(['CHAR', 'NCHAR', 'VARCHAR2', 'NVARCHAR2', 'RAW', 'UROWID']);
const PLAIN: ReadonlySet<string> = new Set([
  'DATE',
  'CLOB',
  'NCLOB',
  'BLOB',
  'BFILE',
  'LONG',
  'LONG RAW',
  'ROWID',
  'BINARY_FLOAT',
  'BINARY_DOUBLE',
  'XMLTYPE',
  'JSON',
  'BOOLEAN',
]);

/**
 * A data type as DDL writes it, such as `NUMBER(9,2)`, `VARCHAR2 (40 CHAR)` or `TIMESTAMP(3) WITH TIME ZONE`,
 * with the defaults filled in as the catalogue shows them; null for what is not understood.
 */
export function parseDataType(text: string): DataType | null {
  const spaced = text
    .trim()
    .toUpperCase()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?\( ?/g, '(')
    .replaceAll(/ ?\)/g, ')');
  const synonym = SYNONYMS[spaced];
  if (synonym !== undefined) return synonym;
  if (PLAIN.has(spaced)) return { dataType: spaced, length: null, precision: null, scale: null };
  const match = /^([A-Z0-9_]+)(?:\((\*|-?\d{1,5})(?: ?, ?(-?\d{1,3})| (?:BYTE|CHAR))?\))?(.*)$/.exec(spaced);
  if (match === null) return null;
  const [, name = '', first, second, rest = ''] = match;
  const size = first === undefined || first === '*' ? null : Number(first);
  switch (name) {
    case 'NUMBER':
    case 'NUMERIC':
    case 'DECIMAL':
    case 'DEC':
      if (rest !== '') return null;
      if (first === undefined) return name === 'NUMBER' ? number(null, null) : number(38, 0);
      return number(size, second === undefined ? (size === null ? null : 0) : Number(second));
    case 'FLOAT':
      return rest === '' ? { dataType: 'FLOAT', length: null, precision: size ?? 126, scale: null } : null;
    case 'VARCHAR':
      return rest === '' ? { dataType: 'VARCHAR2', length: size, precision: null, scale: null } : null;
    case 'TIMESTAMP':
      if (rest !== '' && rest !== ' WITH TIME ZONE' && rest !== ' WITH LOCAL TIME ZONE') return null;
      return { dataType: `TIMESTAMP${rest}`, length: null, precision: null, scale: size ?? 6 };
    case 'INTERVAL':
      return intervalType(rest);
  }
  if (!LENGTHS.has(name) || rest !== '') return null;
  return { dataType: name, length: size ?? 1, precision: null, scale: null };
}

function intervalType(rest: string): DataType | null {
  const months = /^ YEAR(?:\((\d)\))? TO MONTH$/.exec(rest);
  if (months !== null) {
    return { dataType: 'INTERVAL YEAR TO MONTH', length: null, precision: Number(months[1] ?? 2), scale: 0 };
  }
  const days = /^ DAY(?:\((\d)\))? TO SECOND(?:\((\d)\))?$/.exec(rest);
  if (days === null) return null;
  const [, precision, scale] = days;
  return {
    dataType: 'INTERVAL DAY TO SECOND',
    length: null,
    precision: Number(precision ?? 2),
    scale: Number(scale ?? 6),
  };
}

function number(precision: number | null, scale: number | null): DataType {
  return { dataType: 'NUMBER', length: null, precision, scale };
}
