import type {
  AsOf,
  Duration,
  Expr,
  JoinClause,
  Select,
  SelectItem,
  SourceRef,
  Unit,
  WindowClause,
  Within,
} from './ast.ts';
import { parseExpression } from './parse-expression.ts';
import type { TokenCursor } from './token-cursor.ts';

const UNITS: ReadonlyMap<string, Unit> = new Map(
  (['DAY', 'HOUR', 'MINUTE', 'SECOND', 'MILLISECOND'] as const).flatMap((unit) => [
    [unit, unit],
    [`${unit}S`, unit],
  ]),
);
const AS_OF: readonly AsOf[] = ['COMMIT', 'STATEMENT', 'BEFORE', 'ROWTIME'];

export function parseSelect(cursor: TokenCursor): Select {
  const { at } = cursor;
  cursor.expectWords('SELECT');
  const items = selectItems(cursor);
  cursor.expectWords('FROM');
  const from = sourceRef(cursor);
  const joins: JoinClause[] = [];
  for (let join = joinClause(cursor); join !== null; join = joinClause(cursor)) joins.push(join);
  const window = cursor.acceptWords('WINDOW') ? windowClause(cursor) : null;
  const where = cursor.acceptWords('WHERE') ? parseExpression(cursor) : null;
  const groupBy = cursor.acceptWords('GROUP', 'BY') ? expressions(cursor) : null;
  const partitionBy = cursor.acceptWords('PARTITION', 'BY') ? expressions(cursor) : null;
  const having = cursor.acceptWords('HAVING') ? parseExpression(cursor) : null;
  const emit = cursor.acceptWords('EMIT') ? cursor.expectOneOf(['CHANGES', 'FINAL']) : null;
  const limit = cursor.acceptWords('LIMIT') ? cursor.integer('a number of rows') : null;
  return { items, from, joins, window, where, groupBy, partitionBy, having, emit, limit, at };
}

function selectItems(cursor: TokenCursor): readonly SelectItem[] {
  const items: SelectItem[] = [];
  do {
    if (items.length > 0 && cursor.isWord('FROM')) {
      if (cursor.dialect === 'ksqldb') throw cursor.expected(['another expression']);
      cursor.warnings.push('the comma before FROM is left over');
      break;
    }
    items.push(selectItem(cursor));
  } while (cursor.acceptSymbol(','));
  return items;
}

function selectItem(cursor: TokenCursor): SelectItem {
  const { at } = cursor;
  if (cursor.acceptSymbol('*')) return { kind: 'star', source: null, at };
  if (cursor.isName() && cursor.isSymbol('.', 1) && cursor.isSymbol('*', 2)) {
    const source = cursor.advance().text;
    cursor.advance();
    cursor.advance();
    return { kind: 'star', source, at };
  }
  const expr = parseExpression(cursor);
  if (cursor.isSymbol('->') && cursor.isSymbol('*', 1)) {
    cursor.advance();
    cursor.advance();
    return { kind: 'fields', operand: expr, at };
  }
  if (cursor.acceptWords('AS')) return { kind: 'expr', expr, alias: cursor.name('a name after AS'), at };
  return { kind: 'expr', expr, alias: cursor.isName() ? cursor.advance().text : null, at };
}

/** Words that go on after a source, and so are no alias of it unless quoted or after AS. */
const AFTER_SOURCE: ReadonlySet<string> = new Set(['WINDOW', 'FOR']);

function sourceRef(cursor: TokenCursor): SourceRef {
  const { at } = cursor;
  const name = cursor.name('the name of a stream or table');
  let alias: string | null = null;
  if (cursor.acceptWords('AS')) alias = cursor.name('a name after AS');
  else if (cursor.isName() && !(cursor.token.kind === 'word' && AFTER_SOURCE.has(cursor.token.text)))
    alias = cursor.advance().text;
  let asOf: AsOf | null = null;
  if (cursor.acceptWords('FOR')) {
    cursor.expectWords('SYSTEM_TIME', 'AS', 'OF');
    asOf = cursor.expectOneOf(AS_OF);
  }
  return { name, alias, asOf, at };
}

function joinClause(cursor: TokenCursor): JoinClause | null {
  const { at } = cursor;
  let kind: JoinClause['kind'] = 'INNER';
  if (cursor.acceptWords('INNER')) cursor.expectWords('JOIN');
  else if (cursor.isWord('LEFT') || cursor.isWord('RIGHT') || cursor.isWord('FULL')) {
    kind = cursor.expectOneOf(['LEFT', 'RIGHT', 'FULL']);
    cursor.acceptWords('OUTER');
    cursor.expectWords('JOIN');
  } else if (!cursor.acceptWords('JOIN')) return null;
  const source = sourceRef(cursor);
  const within = cursor.acceptWords('WITHIN') ? withinClause(cursor) : null;
  cursor.expectWords('ON');
  return { kind, source, within, on: parseExpression(cursor), at };
}

function withinClause(cursor: TokenCursor): Within {
  let before: Duration;
  let after: Duration | null = null;
  if (cursor.acceptSymbol('(')) {
    before = duration(cursor);
    cursor.expectSymbol(',');
    after = duration(cursor);
    cursor.expectSymbol(')');
  } else before = duration(cursor);
  const grace = cursor.acceptWords('GRACE', 'PERIOD') ? duration(cursor) : null;
  return { before, after, grace };
}

function windowClause(cursor: TokenCursor): WindowClause {
  const { at } = cursor;
  const kinds = ['TUMBLING', 'HOPPING', 'SESSION'] as const;
  const named = !kinds.some((kind) => cursor.isWord(kind) && cursor.isSymbol('(', 1));
  const name = named ? cursor.name('TUMBLING, HOPPING or SESSION') : null;
  const kind = cursor.expectOneOf(kinds);
  cursor.expectSymbol('(');
  if (kind !== 'SESSION') cursor.expectWords('SIZE');
  const size = duration(cursor);
  let advance: Duration | null = null;
  if (kind === 'HOPPING') {
    cursor.expectSymbol(',');
    cursor.expectWords('ADVANCE', 'BY');
    advance = duration(cursor);
  }
  let retention: Duration | null = null;
  let grace: Duration | null = null;
  while (cursor.acceptSymbol(',')) {
    if (retention === null && grace === null && cursor.acceptWords('RETENTION')) retention = duration(cursor);
    else if (grace === null && cursor.acceptWords('GRACE', 'PERIOD')) grace = duration(cursor);
    else throw cursor.expected(grace === null ? ['RETENTION', 'GRACE PERIOD'] : ['")"']);
  }
  cursor.expectSymbol(')');
  return { kind, name, size, advance, retention, grace, at };
}

function duration(cursor: TokenCursor): Duration {
  const count = cursor.integer('a number such as 5 in 5 MINUTES');
  const { token } = cursor;
  const unit = token.kind === 'word' ? UNITS.get(token.text) : undefined;
  if (unit === undefined) throw cursor.expected([...UNITS.keys()]);
  cursor.advance();
  return { count, unit };
}

const UNIT_MS: Readonly<Record<Unit, number>> = {
  MILLISECOND: 1,
  SECOND: 1_000,
  MINUTE: 60_000,
  HOUR: 3_600_000,
  DAY: 86_400_000,
};

export function durationMs({ count, unit }: Duration): number {
  return count * UNIT_MS[unit];
}

/** `a, b` or `(a, b)` or `()`. */
function expressions(cursor: TokenCursor): readonly Expr[] {
  const { index } = cursor;
  if (cursor.acceptSymbol('(')) {
    const items: Expr[] = [];
    if (cursor.acceptSymbol(')')) return items;
    do items.push(parseExpression(cursor));
    while (cursor.acceptSymbol(','));
    if (cursor.acceptSymbol(')') && endsList(cursor)) return items;
    // `(a + b) * 2` begins like a list.
    cursor.rewind(index);
  }
  const items: Expr[] = [];
  do items.push(parseExpression(cursor));
  while (cursor.acceptSymbol(','));
  return items;
}

function endsList(cursor: TokenCursor): boolean {
  return (
    cursor.token.kind === 'end' ||
    cursor.isSymbol(')') ||
    ['PARTITION', 'HAVING', 'EMIT', 'LIMIT', 'GROUP'].some((word) => cursor.isWord(word))
  );
}
