import type {
  ColumnDefinition,
  CreateAs,
  CreateSource,
  Property,
  Select,
  SourceKind,
  Statement,
} from './ast.ts';
import { parseExpression } from './parse-expression.ts';
import { parseSelect } from './parse-select.ts';
import { parseType } from './parse-type.ts';
import type { SourceText } from './sql-error.ts';
import type { SqlType } from './sql-type.ts';
import { type Dialect, TokenCursor } from './token-cursor.ts';

export interface Parsed {
  readonly statement: Statement;
  readonly source: SourceText;
  /** What the friendly dialect let pass. */
  readonly warnings: readonly string[];
}

/** One statement without its `;`. Throws HeadwaterError `enrich.statement-invalid` with line and column. */
export function parseStatement(source: SourceText, dialect: Dialect): Parsed {
  const warnings: string[] = [];
  const cursor = new TokenCursor(source, dialect, warnings);
  const statement = statementOf(cursor);
  if (cursor.token.kind !== 'end') throw cursor.expected(['the end of the statement']);
  return { statement, source, warnings };
}

const FIRST_WORDS = [
  'CREATE',
  'SELECT',
  'INSERT',
  'DROP',
  'TERMINATE',
  'PAUSE',
  'RESUME',
  'SHOW',
  'LIST',
  'DESCRIBE',
  'EXPLAIN',
  'PRINT',
  'SET',
  'UNSET',
  'DEFINE',
  'UNDEFINE',
  'ALTER',
  'ASSERT',
  'RUN',
] as const;

function statementOf(cursor: TokenCursor): Statement {
  const { at } = cursor;
  if (cursor.isWord('SELECT')) return { kind: 'select', select: parseSelect(cursor), at };
  const word = cursor.expectOneOf(FIRST_WORDS);
  switch (word) {
    case 'CREATE':
      return create(cursor, at);
    case 'INSERT':
      return insert(cursor, at);
    case 'DROP':
      return drop(cursor, at);
    case 'TERMINATE':
    case 'PAUSE':
    case 'RESUME': {
      const kind = word === 'TERMINATE' ? 'terminate' : word === 'PAUSE' ? 'pause' : 'resume';
      return { kind, id: cursor.acceptWords('ALL') ? null : cursor.name('the id of a query'), at };
    }
    case 'SHOW':
    case 'LIST':
      return show(cursor, at);
    case 'DESCRIBE':
      return describe(cursor, at);
    case 'EXPLAIN':
      return cursor.isName() && cursor.peek(1).kind === 'end'
        ? { kind: 'explainQuery', id: cursor.advance().text, at }
        : { kind: 'explain', statement: cursor.nested(() => statementOf(cursor)), at };
    case 'PRINT':
      return print(cursor, at);
    case 'SET': {
      const name = cursor.string('a property');
      cursor.expectSymbol('=');
      return { kind: 'set', name, value: cursor.string('a value'), at };
    }
    case 'UNSET':
      return { kind: 'unset', name: cursor.string('a property'), at };
    case 'DEFINE': {
      const name = cursor.name('the name of a variable');
      cursor.expectSymbol('=');
      return { kind: 'define', name, value: cursor.string('a value'), at };
    }
    case 'UNDEFINE':
      return { kind: 'undefine', name: cursor.name('the name of a variable'), at };
    case 'ALTER':
      return alter(cursor, at);
    case 'ASSERT':
      return unsupported(cursor, 'ASSERT', at);
    case 'RUN':
      cursor.expectWords('SCRIPT');
      return unsupported(cursor, 'RUN SCRIPT', at);
    case 'SELECT':
      throw cursor.expected(['a statement']);
  }
}

/** The rest is taken as it is: what is not executed need not be understood. */
function unsupported(cursor: TokenCursor, what: string, at: number): Statement {
  while (cursor.token.kind !== 'end') cursor.advance();
  return { kind: 'unsupported', what, at };
}

function create(cursor: TokenCursor, at: number): Statement {
  if (cursor.isWord('SINK', 'CONNECTOR') || cursor.isWord('SOURCE', 'CONNECTOR'))
    return unsupported(cursor, 'CREATE CONNECTOR', at);
  if (cursor.acceptWords('TYPE')) {
    const ifNotExists = cursor.acceptWords('IF', 'NOT', 'EXISTS');
    const name = cursor.name('the name of a type');
    cursor.expectWords('AS');
    return { kind: 'createType', name, ifNotExists, type: parseType(cursor), at };
  }
  const orReplace = cursor.acceptWords('OR', 'REPLACE');
  const readOnly = cursor.acceptWords('SOURCE');
  const type = cursor.expectOneOf<SourceKind>(['STREAM', 'TABLE']);
  const ifNotExists = cursor.acceptWords('IF', 'NOT', 'EXISTS');
  const name = cursor.name(`the name of a ${type.toLowerCase()}`);
  const columns = cursor.isSymbol('(') ? columnDefinitions(cursor) : [];
  const properties = cursor.acceptWords('WITH') ? parseProperties(cursor) : [];
  if (!readOnly && columns.length === 0 && cursor.acceptWords('AS')) {
    const select = parseSelect(cursor);
    return {
      kind: 'createAs',
      type,
      name,
      orReplace,
      ifNotExists,
      properties,
      select,
      at,
    } satisfies CreateAs;
  }
  const statement: CreateSource = {
    kind: 'createSource',
    type,
    name,
    orReplace,
    readOnly,
    ifNotExists,
    columns,
    properties,
    at,
  };
  return statement;
}

function columnDefinitions(cursor: TokenCursor): readonly ColumnDefinition[] {
  cursor.expectSymbol('(');
  const columns: ColumnDefinition[] = [];
  do {
    const { at } = cursor;
    const name = cursor.name('the name of a column');
    const type = parseType(cursor);
    let role: ColumnDefinition['role'] = 'VALUE';
    let header: string | null = null;
    if (cursor.acceptWords('PRIMARY', 'KEY')) role = 'PRIMARY KEY';
    else if (cursor.acceptWords('KEY')) role = 'KEY';
    else if (cursor.acceptWords('HEADERS')) role = 'HEADERS';
    else if (cursor.acceptWords('HEADER')) {
      role = 'HEADERS';
      cursor.expectSymbol('(');
      header = cursor.string('the name of a header');
      cursor.expectSymbol(')');
    }
    columns.push({ name, type, role, header, at });
  } while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return columns;
}

function parseProperties(cursor: TokenCursor): readonly Property[] {
  cursor.expectSymbol('(');
  const properties: Property[] = [];
  if (cursor.acceptSymbol(')')) return properties;
  do {
    const { at } = cursor;
    const key =
      cursor.token.kind === 'string'
        ? cursor.advance().text.toUpperCase()
        : cursor.name('the name of a property').toUpperCase();
    if (properties.some((property) => property.key === key))
      throw cursor.error(`the property ${key} stands there twice`, at);
    cursor.expectSymbol('=');
    properties.push({ key, value: literal(cursor), at });
  } while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return properties;
}

function literal(cursor: TokenCursor): string | number | boolean {
  if (cursor.acceptWords('TRUE')) return true;
  if (cursor.acceptWords('FALSE')) return false;
  if (cursor.token.kind === 'string') return cursor.advance().text;
  const sign = cursor.acceptSymbol('-') ? -1 : 1;
  if (cursor.token.kind === 'integer') return sign * cursor.integer('a value');
  throw cursor.expected(['a text in single quotes', 'a whole number', 'TRUE', 'FALSE']);
}

function insert(cursor: TokenCursor, at: number): Statement {
  cursor.expectWords('INTO');
  const name = cursor.name('the name of a stream');
  let queryId: string | null = null;
  if (cursor.acceptWords('WITH')) {
    cursor.expectSymbol('(');
    cursor.expectWords('QUERY_ID');
    cursor.expectSymbol('=');
    queryId = cursor.string('a query id');
    cursor.expectSymbol(')');
  }
  if (cursor.isWord('SELECT')) {
    const select: Select = parseSelect(cursor);
    return { kind: 'insertSelect', name, queryId, select, at };
  }
  if (queryId !== null) throw cursor.expected(['SELECT']);
  let columns: string[] | null = null;
  if (cursor.acceptSymbol('(')) {
    columns = [];
    do columns.push(cursor.name('the name of a column'));
    while (cursor.acceptSymbol(','));
    cursor.expectSymbol(')');
  }
  if (!cursor.acceptWords('VALUES'))
    throw cursor.expected(columns === null ? ['SELECT', 'VALUES'] : ['VALUES']);
  cursor.expectSymbol('(');
  const values = [parseExpression(cursor)];
  while (cursor.acceptSymbol(',')) values.push(parseExpression(cursor));
  cursor.expectSymbol(')');
  return { kind: 'insertValues', name, columns, values, at };
}

function drop(cursor: TokenCursor, at: number): Statement {
  if (cursor.isWord('CONNECTOR')) return unsupported(cursor, 'DROP CONNECTOR', at);
  const type = cursor.expectOneOf(['STREAM', 'TABLE', 'TYPE']);
  const ifExists = cursor.acceptWords('IF', 'EXISTS');
  const name = cursor.name(`the name of a ${type.toLowerCase()}`);
  return { kind: 'drop', type, name, ifExists, deleteTopic: cursor.acceptWords('DELETE', 'TOPIC'), at };
}

const SHOWN = [
  'TOPICS',
  'STREAMS',
  'TABLES',
  'QUERIES',
  'FUNCTIONS',
  'PROPERTIES',
  'TYPES',
  'VARIABLES',
] as const;

function show(cursor: TokenCursor, at: number): Statement {
  if (cursor.isWord('CONNECTORS')) return unsupported(cursor, 'SHOW CONNECTORS', at);
  const all = cursor.acceptWords('ALL');
  const what = all ? cursor.expectOneOf(['TOPICS']) : cursor.expectOneOf(SHOWN);
  const mayBeExtended = what === 'TOPICS' || what === 'STREAMS' || what === 'TABLES' || what === 'QUERIES';
  return { kind: 'show', what, all, extended: mayBeExtended && cursor.acceptWords('EXTENDED'), at };
}

function describe(cursor: TokenCursor, at: number): Statement {
  const alone = cursor.peek(1).kind === 'end' && cursor.token.kind === 'word';
  if (alone && cursor.acceptWords('STREAMS')) return { kind: 'describeAll', what: 'STREAMS', at };
  if (alone && cursor.acceptWords('TABLES')) return { kind: 'describeAll', what: 'TABLES', at };
  if (cursor.isWord('FUNCTION') && cursor.isName(1)) {
    cursor.advance();
    return { kind: 'describeFunction', name: cursor.advance().text, at };
  }
  const name = cursor.name('the name of a stream or table');
  return { kind: 'describe', name, extended: cursor.acceptWords('EXTENDED'), at };
}

function print(cursor: TokenCursor, at: number): Statement {
  const topic = cursor.token.kind === 'string' ? cursor.advance().text : bareTopic(cursor);
  const fromBeginning = cursor.acceptWords('FROM', 'BEGINNING');
  const spaced = cursor.acceptWords('INTERVAL') || cursor.acceptWords('SAMPLE');
  const interval = spaced ? cursor.integer('a number of records') : null;
  const limit = cursor.acceptWords('LIMIT') ? cursor.integer('a number of records') : null;
  return { kind: 'print', topic, fromBeginning, interval, limit, at };
}

/** A topic's name keeps the case it is written in. */
function bareTopic(cursor: TokenCursor): string {
  const { kind, text, start, end } = cursor.token;
  cursor.name('the name of a topic');
  return kind === 'word' ? cursor.source.text.slice(start, end) : text;
}

function alter(cursor: TokenCursor, at: number): Statement {
  const type = cursor.expectOneOf<SourceKind>(['STREAM', 'TABLE']);
  const name = cursor.name(`the name of a ${type.toLowerCase()}`);
  const columns: { name: string; type: SqlType }[] = [];
  do {
    cursor.expectWords('ADD');
    cursor.acceptWords('COLUMN');
    const column = cursor.name('the name of a column');
    columns.push({ name: column, type: parseType(cursor) });
  } while (cursor.acceptSymbol(','));
  return { kind: 'alter', type, name, columns, at };
}
