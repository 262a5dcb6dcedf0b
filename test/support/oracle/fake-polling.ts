/** What the scripted Oracle knows of polling: statements in texts of its own, and what their conditions mean. */
import {
  OracleError,
  type OracleRow,
  type OracleValue,
} from '../../../src/readers/oracle/session/oracle-session.ts';
import type { FakeColumn, FakeTable } from './fake-oracle.ts';
import type { FakeSession, Handler } from './fake-session.ts';
import { rowsAt } from './fake-statements.ts';

type Cells = Readonly<Record<string, OracleValue>>;

const EPOCH = '2025-06-01 00:00:00';

export const POLL_HANDLERS: readonly (readonly [RegExp, Handler])[] = [
  [
    /^ALTER SESSION SET NLS_COMP = BINARY NLS_SORT = BINARY$/,
    function () {
      this.binary = true;
      return [];
    },
  ],
  [
    /^SET TRANSACTION READ ONLY$/,
    function () {
      this.readOnly = 'first';
      return [];
    },
  ],
  [/^SELECT 1 FROM DUAL$/, () => [['1']]],
  [
    /^SELECT SYS_CONTEXT\('USERENV','DB_NAME'\), SYS_CONTEXT\('USERENV','CON_NAME'\), SYS_CONTEXT\('USERENV','DATABASE_ROLE'\) FROM DUAL$/,
    function () {
      return [[this.server.name, this.container, this.server.role]];
    },
  ],
  [
    /^SELECT 1 FROM (GV\$[A-Z_]+) WHERE ROWNUM = 1$/,
    function (match) {
      if (this.server.unreadable.has(match[1]!))
        throw new OracleError('ORA-00942: table or view does not exist');
      return [];
    },
  ],
  [
    /^SELECT TO_CHAR\(SYS_EXTRACT_UTC\(SYSTIMESTAMP\),'YYYY-MM-DD"T"HH24:MI:SS\.FF6'\) FROM DUAL$/,
    function () {
      const { clockUs } = this.server;
      const micros = String(clockUs % 1_000_000).padStart(6, '0');
      return [[`${new Date(Math.floor(clockUs / 1000)).toISOString().slice(0, 19)}.${micros}`]];
    },
  ],
  [
    /^SELECT TO_CHAR\(INST_ID\)\|\|'\.'\|\|TO_CHAR\(SID\)\|\|'\.'\|\|TO_CHAR\(SERIAL#\), TO_CHAR\(LAST_CALL_ET\) FROM GV\$SESSION WHERE TYPE = 'USER' AND STATUS = 'ACTIVE' AND NOT \(STATE = 'WAITING' AND WAIT_CLASS = 'Idle' AND EVENT <> 'PL\/SQL lock timer'\) AND NOT \(SID = TO_NUMBER\(SYS_CONTEXT\('USERENV','SID'\)\) AND INST_ID = TO_NUMBER\(SYS_CONTEXT\('USERENV','INSTANCE'\)\)\)$/,
    function () {
      return this.server.calls.map(({ session, seconds }) => [session, String(seconds)]);
    },
  ],
  [
    /^SELECT RAWTOHEX\(XID\), TO_CHAR\(ROUND\(\(SYSDATE - START_DATE\) \* 86400\)\) FROM GV\$TRANSACTION$/,
    function () {
      return this.server.transactions.map(({ xid, seconds }) => [xid, String(seconds)]);
    },
  ],
  [
    /^SELECT OWNER, VIEW_NAME FROM ALL_VIEWS WHERE OWNER NOT IN \(.*'SYS','SYSTEM'.*\) ORDER BY OWNER, VIEW_NAME$/,
    function () {
      return this.server.views.map(({ owner, name }) => [owner, name]);
    },
  ],
  [
    /^SELECT TO_CHAR\(OBJECT_ID\), TO_CHAR\(LAST_DDL_TIME,'YYYY-MM-DD HH24:MI:SS'\), CASE WHEN LAST_DDL_TIME > SYSDATE - 5\/86400 THEN 'Y' ELSE 'N' END FROM ALL_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND OBJECT_TYPE IN \('TABLE','VIEW'\)$/,
    function (_, binds) {
      const table = this.table(binds);
      if (table === undefined) return [];
      const altered = table.lastDdl === 0n ? EPOCH : `2025-06-02 ${String(table.lastDdl)}`;
      return [[table.objectId, altered, this.server.justAltered ? 'Y' : 'N']];
    },
  ],
  [
    /^SELECT IC\.COLUMN_NAME, IE\.COLUMN_EXPRESSION FROM ALL_INDEXES I JOIN ALL_IND_COLUMNS IC ON .* WHERE I\.TABLE_OWNER = :o AND I\.TABLE_NAME = :t AND I\.VISIBILITY = 'VISIBLE' AND I\.STATUS IN \('VALID','N\/A'\)$/,
    function (_, binds) {
      return (this.table(binds)?.indexes ?? []).map((first) =>
        first.includes('(') ? ['SYS_NC00009$', first] : [first, null],
      );
    },
  ],
  [
    /^SELECT 1 FROM (.*) T WHERE ROWNUM = 1$/s,
    function (match) {
      const table = tableOf(this, match[1]!);
      if (this.server.unreadable.has(`${table.owner}.${table.name}`))
        throw new OracleError('ORA-01031: insufficient privileges');
      return [];
    },
  ],
  [
    /^SELECT 1 FROM (.*) T WHERE ROWNUM < 1 AND \((.*)\n\)$/s,
    function (match) {
      tableOf(this, match[1]!);
      return [];
    },
  ],
  [
    /^SELECT (.*) FROM ("[^"]+"\."[^"]+"|\(.*\n\)) T(?: WHERE (.*?))?(?: ORDER BY (.*?)(?: FETCH FIRST (\d+) ROWS ONLY)?)?$/s,
    function (match, binds, sql) {
      const { server } = this;
      const [, items = '', from = '', where = '', order = '', limit] = match;
      if (!this.binary) server.violate(`polled in the order of the instance: ${sql}`);
      server.raise('READ', sql);
      if (this.readOnly === null) server.beforeRead?.();
      const table = tableOf(this, from);
      const scn = typeof this.readOnly === 'bigint' ? this.readOnly : server.currentScn;
      const given = new Map(Object.entries(binds).map(([name, value]) => [name, String(value ?? '')]));
      const condition = new Condition(where, { table, given });
      const kept = rowsAt(table, scn)
        .map(({ values }) => values)
        .filter((cells) => condition.holds(cells));
      if (condition.unused.length > 0) server.violate(`binds without a place (ORA-01036): ${sql}`);
      const list = splitItems(items);
      if (/^(?:\w+\()?MAX\(/.test(list[0]!)) {
        const [greatest] = kept.toSorted((a, b) => -compareBy(table, [columnsIn(list[0]!)], a, b));
        return [[greatest === undefined ? null : cellOf(table, list[0]!, greatest)]];
      }
      const by = order === '' ? [] : splitItems(order).map(columnsIn);
      const sorted = by.length === 0 ? kept : kept.toSorted((a, b) => compareBy(table, by, a, b));
      const rows = sorted.map((cells): OracleRow => list.map((item) => cellOf(table, item, cells)));
      return limit === undefined ? rows : rows.slice(0, Number(limit));
    },
  ],
];

/** A table, a view of one, or a query of one. */
function tableOf(session: FakeSession, from: string): FakeTable {
  const { server } = session;
  const query = /^\((.*)\n\)$/s.exec(from)?.[1];
  const named = (name: string | undefined): FakeTable | undefined =>
    session.catalogue().find((table) => `${table.owner}.${table.name}` === name);
  if (query !== undefined) {
    return named(server.queries.get(query)?.of) ?? server.violate(`a query that is not known: ${from}`);
  }
  const name = from.replaceAll('"', '');
  const found = named(name) ?? named(server.views.find((view) => `${view.owner}.${view.name}` === name)?.of);
  if (found === undefined) throw new OracleError('ORA-00942: table or view does not exist');
  return found;
}

/** At commas outside of brackets and quotes. */
function splitItems(text: string): readonly string[] {
  const items: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "'") quoted = !quoted;
    if (quoted) continue;
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (c === ',' && depth === 0) {
      items.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  return [...items, text.slice(start).trim()];
}

function columnsIn(expression: string): readonly string[] {
  return [...expression.matchAll(/T\."([^"]+)"/g)].map((each) => each[1]!);
}

function columnOf(table: FakeTable, name: string): FakeColumn {
  const column = table.columns.find((each) => each.name === name);
  if (column === undefined) throw new OracleError('ORA-00904: invalid identifier');
  return column;
}

/** What an item of the select list gives: the first of its columns that is not NULL. */
function cellOf(table: FakeTable, item: string, cells: Cells): OracleValue {
  for (const name of columnsIn(item)) columnOf(table, name);
  const value = firstOf(columnsIn(item), cells);
  return item.includes('SYS_EXTRACT_UTC(') && value !== null ? utc(String(value)) : value;
}

function firstOf(names: readonly string[], cells: Cells): OracleValue {
  for (const name of names) if (cells[name] != null) return cells[name];
  return null;
}

function utc(text: string): string {
  const at = text.length - 6;
  const moment = new Date(`${text.slice(0, 19)}${text.slice(at)}`).toISOString().slice(0, 19);
  return `${moment}${text.slice(19, at)}`;
}

/** Rows by expressions, each of which is the first of some columns; NULL comes last. */
function compareBy(table: FakeTable, by: readonly (readonly string[])[], a: Cells, b: Cells): number {
  for (const names of by) {
    const type = columnOf(table, names[0]!).type;
    const [x, y] = [firstOf(names, a), firstOf(names, b)];
    const order =
      x === null ? (y === null ? 0 : 1) : y === null ? -1 : compareValues(type, String(x), String(y));
    if (order !== 0) return order;
  }
  return 0;
}

function compareValues(type: string, a: string, b: string): number {
  if (type === 'NUMBER' || type === 'FLOAT') return Number(a) - Number(b);
  if (type.endsWith('WITH TIME ZONE')) [a, b] = [comparable(a), comparable(b)];
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function comparable(text: string): string {
  return /[+-]\d\d:\d\d$/.test(text) ? utc(text) : text;
}

/** What a bind of a column's type has to be wrapped in: anything else would be converted row by row. */
const WRAPPERS: readonly (readonly [type: RegExp, wrapper: RegExp])[] = [
  [/^(NUMBER|FLOAT)$/, /^TO_NUMBER\(:(p\d+)\)/],
  [/^N(CHAR|VARCHAR2)$/, /^UNISTR\(:(p\d+)\)/],
  [/^(CHAR|VARCHAR2)$/, /^:(p\d+)/],
  [/^RAW$/, /^HEXTORAW\(:(p\d+)\)/],
  [/^DATE$/, /^TO_DATE\(:(p\d+),'YYYY-MM-DD"T"HH24:MI:SS'\)/],
  [
    /^TIMESTAMP(\(\d\))? WITH LOCAL TIME ZONE$/,
    /^CAST\(TO_TIMESTAMP\(:(p\d+),'YYYY-MM-DD"T"HH24:MI:SS\.FF9'\) AS TIMESTAMP WITH LOCAL TIME ZONE\)/,
  ],
  [
    /^TIMESTAMP(\(\d\))? WITH TIME ZONE$/,
    /^FROM_TZ\(TO_TIMESTAMP\(:(p\d+),'YYYY-MM-DD"T"HH24:MI:SS\.FF9'\),'00:00'\)/,
  ],
  [/^TIMESTAMP(\(\d\))?$/, /^TO_TIMESTAMP\(:(p\d+),'YYYY-MM-DD"T"HH24:MI:SS\.FF9'\)/],
];

type Test = (cells: Cells) => boolean;

/** `AND` before `OR`; what compares with NULL is not true, and there is no NOT. */
class Condition {
  readonly holds: Test;
  readonly #table: FakeTable;
  readonly #given: ReadonlyMap<string, string>;
  readonly #used = new Set<string>();
  #rest: string;

  constructor(
    text: string,
    { table, given }: { readonly table: FakeTable; readonly given: ReadonlyMap<string, string> },
  ) {
    this.#rest = text;
    this.#table = table;
    this.#given = given;
    this.holds = text === '' ? () => true : this.#any();
    if (this.#rest !== '') throw new Error(`ORA-00933: what is ${this.#rest}?`);
  }

  get unused(): readonly string[] {
    return [...this.#given.keys()].filter((name) => !this.#used.has(name));
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    const match = pattern.exec(this.#rest);
    if (match !== null) this.#rest = this.#rest.slice(match[0].length);
    return match;
  }

  #any(): Test {
    const tests = [this.#all()];
    while (this.#take(/^ OR /) !== null) tests.push(this.#all());
    return (cells) => tests.some((test) => test(cells));
  }

  #all(): Test {
    const tests = [this.#one()];
    while (this.#take(/^ AND /) !== null) tests.push(this.#one());
    return (cells) => tests.every((test) => test(cells));
  }

  #one(): Test {
    if (this.#take(/^\(/) !== null) {
      const test = this.#any();
      if (this.#take(/^\n?\)/) === null)
        throw new Error(`ORA-00907: missing parenthesis before ${this.#rest}`);
      return test;
    }
    const operand = this.#take(/^(?:COALESCE\((?:T\."[^"]+"(?:, )?)+\)|T\."[^"]+")/);
    if (operand === null) throw new Error(`ORA-00936: missing expression before ${this.#rest}`);
    const names = columnsIn(operand[0]);
    const { type } = columnOf(this.#table, names[0]!);
    if (this.#take(/^ IS NULL/) !== null) return (cells) => firstOf(names, cells) === null;
    if (this.#take(/^ IS NOT NULL/) !== null) return (cells) => firstOf(names, cells) !== null;
    const operator = this.#take(/^ (>=|<=|>|<) /)?.[1];
    const wrapper = WRAPPERS.find(([types]) => types.test(type))?.[1];
    const bind = wrapper === undefined ? null : this.#take(wrapper);
    if (operator === undefined || bind === null) {
      throw new Error(`ORA-00920: ${names.join(', ')} (${type}) is compared with ${this.#rest}`);
    }
    const value = this.#given.get(bind[1]!);
    if (value === undefined) throw new Error('ORA-01008: not all variables bound');
    this.#used.add(bind[1]!);
    return (cells) => {
      const cell = firstOf(names, cells);
      if (cell === null || value === '') return false;
      const order = compareValues(type, String(cell), value);
      return operator === '>'
        ? order > 0
        : operator === '<'
          ? order < 0
          : operator === '>='
            ? order >= 0
            : order <= 0;
    };
  }
}
