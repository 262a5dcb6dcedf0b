/** Arbitrary statements for the property tests of the SQL parser. */
import fc from 'fast-check';
import type {
  Duration,
  Expr,
  Select,
  SelectItem,
  SourceRef,
  Statement,
} from '../../src/enrichment/sql/ast.ts';
import {
  BIGINT,
  BOOLEAN,
  decimal,
  DOUBLE,
  INTEGER,
  type SqlType,
  STRING,
  TIMESTAMP,
} from '../../src/enrichment/sql/sql-type.ts';

const at = 0;
const names = fc.oneof(
  fc.constantFrom(
    'A',
    'B1',
    'TIMESTAMP',
    'SELECT',
    'from',
    'x y',
    'back`tick',
    '1A',
    '2E5',
    'ARRAY',
    'ÄÖ',
    'SHOW',
  ),
  fc.string({ minLength: 1, maxLength: 6 }),
);
/** Names that may stand in front of a bracket without being an ARRAY, a MAP, a STRUCT or a CAST. */
const functionNames = names.filter((name) => !['MAP', 'STRUCT'].includes(name));
const strings = fc.string({ maxLength: 8 });
const whole = fc.nat({ max: 1_000_000 });

const types: fc.Arbitrary<SqlType> = fc.letrec<{ type: SqlType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<SqlType>(BOOLEAN, INTEGER, BIGINT, DOUBLE, STRING, TIMESTAMP, decimal(10, 2)),
    tie('type').map((element): SqlType => ({ kind: 'ARRAY', element })),
    tie('type').map((value): SqlType => ({ kind: 'MAP', key: STRING, value })),
    fc
      .uniqueArray(fc.tuple(names, tie('type')), { minLength: 1, maxLength: 3, selector: ([name]) => name })
      .map((fields): SqlType => ({
        kind: 'STRUCT',
        fields: fields.map(([name, type]) => ({ name, type })),
      })),
  ),
})).type;

export const expressions: fc.Arbitrary<Expr> = fc.letrec<{ expr: Expr }>((tie) => {
  const expr = tie('expr');
  const list = fc.array(expr, { minLength: 1, maxLength: 3 });
  const negated = fc.boolean();
  return {
    expr: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Expr>(
        { kind: 'null', at },
        { kind: 'boolean', value: true, at },
        { kind: 'decimal', text: '1.50', at },
        { kind: 'double', text: '1.5E3', at },
      ),
      fc.bigInt({ min: 0n, max: 2n ** 70n }).map((n): Expr => ({ kind: 'integer', text: String(n), at })),
      strings.map((value): Expr => ({ kind: 'string', value, at })),
      fc.tuple(fc.option(names), names).map(([source, name]): Expr => ({ kind: 'name', source, name, at })),
      fc
        .tuple(fc.constantFrom('negate', 'plus', 'not'), expr)
        .map(([kind, operand]): Expr => ({ kind, operand, at })),
      fc
        .tuple(fc.constantFrom('+', '-', '*', '/', '%', '||'), expr, expr)
        .map(([op, left, right]): Expr => ({ kind: 'binary', op, left, right, at })),
      fc
        .tuple(fc.constantFrom('and', 'or'), expr, expr)
        .map(([kind, left, right]): Expr => ({ kind, left, right, at })),
      fc
        .tuple(fc.constantFrom('=', '<>', '<', '<=', '>', '>='), expr, expr)
        .map(([op, left, right]): Expr => ({ kind: 'comparison', op, left, right, at })),
      fc.tuple(expr, negated).map(([operand, negated]): Expr => ({ kind: 'isNull', operand, negated, at })),
      fc
        .tuple(expr, expr, negated)
        .map(([left, right, negated]): Expr => ({ kind: 'isDistinct', left, right, negated, at })),
      fc
        .tuple(expr, expr, negated, fc.constantFrom(null, '\\', "'"))
        .map(([operand, pattern, negated, escape]): Expr => ({
          kind: 'like',
          operand,
          pattern,
          escape,
          negated,
          at,
        })),
      fc
        .tuple(expr, expr, expr, negated)
        .map(([operand, low, high, negated]): Expr => ({ kind: 'between', operand, low, high, negated, at })),
      fc
        .tuple(expr, list, negated)
        .map(([operand, items, negated]): Expr => ({ kind: 'in', operand, items, negated, at })),
      fc.tuple(expr, expr).map(([operand, index]): Expr => ({ kind: 'index', operand, index, at })),
      fc.tuple(expr, names).map(([operand, name]): Expr => ({ kind: 'field', operand, name, at })),
      fc
        .tuple(functionNames, fc.array(expr, { maxLength: 3 }))
        .map(([name, args]): Expr => ({ kind: 'call', name, args, star: false, at })),
      functionNames.map((name): Expr => ({ kind: 'call', name, args: [], star: true, at })),
      fc
        .tuple(
          fc.option(expr),
          fc.array(fc.record({ when: expr, result: expr }), { minLength: 1, maxLength: 2 }),
          fc.option(expr),
        )
        .map(([operand, branches, otherwise]): Expr => ({ kind: 'case', operand, branches, otherwise, at })),
      fc.tuple(expr, types).map(([operand, type]): Expr => ({ kind: 'cast', operand, type, at })),
      fc.array(expr, { maxLength: 3 }).map((items): Expr => ({ kind: 'array', items, at })),
      fc
        .array(fc.record({ key: expr, value: expr }), { maxLength: 2 })
        .map((entries): Expr => ({ kind: 'map', entries, at })),
      fc
        .uniqueArray(fc.record({ name: names, value: expr }), {
          minLength: 1,
          maxLength: 2,
          selector: ({ name }) => name,
        })
        .map((fields): Expr => ({ kind: 'struct', fields, at })),
      fc
        .tuple(functionNames, fc.uniqueArray(names, { minLength: 1, maxLength: 2 }), expr)
        .map(([name, parameters, body]): Expr => ({
          kind: 'call',
          name,
          args: [{ kind: 'lambda', parameters, body, at }],
          star: false,
          at,
        })),
    ),
  };
}).expr;

const durations: fc.Arbitrary<Duration> = fc.record({
  count: whole,
  unit: fc.constantFrom('DAY', 'HOUR', 'MINUTE', 'SECOND', 'MILLISECOND'),
});
const sources: fc.Arbitrary<SourceRef> = fc.record({
  name: names,
  alias: fc.option(names),
  asOf: fc.option(fc.constantFrom('COMMIT', 'STATEMENT', 'BEFORE', 'ROWTIME')),
  at: fc.constant(at),
});
const items: fc.Arbitrary<SelectItem> = fc.oneof(
  fc.option(names).map((source): SelectItem => ({ kind: 'star', source, at })),
  expressions.map((operand): SelectItem => ({ kind: 'fields', operand, at })),
  fc
    .tuple(expressions, fc.option(names))
    .map(([expr, alias]): SelectItem => ({ kind: 'expr', expr, alias, at })),
);

const selects: fc.Arbitrary<Select> = fc.record({
  items: fc.array(items, { minLength: 1, maxLength: 3 }),
  from: sources,
  joins: fc.array(
    fc.record({
      kind: fc.constantFrom('INNER', 'LEFT', 'RIGHT', 'FULL'),
      source: sources,
      within: fc.option(
        fc.record({ before: durations, after: fc.option(durations), grace: fc.option(durations) }),
      ),
      on: expressions,
      at: fc.constant(at),
    }),
    { maxLength: 2 },
  ),
  window: fc.option(
    fc
      .record({
        kind: fc.constantFrom('TUMBLING', 'HOPPING', 'SESSION'),
        name: fc.option(names),
        size: durations,
        advance: durations,
        retention: fc.option(durations),
        grace: fc.option(durations),
        at: fc.constant(at),
      })
      .map((window) => (window.kind === 'HOPPING' ? window : { ...window, advance: null })),
  ),
  where: fc.option(expressions),
  groupBy: fc.option(fc.array(expressions, { maxLength: 3 })),
  partitionBy: fc.option(fc.array(expressions, { maxLength: 2 })),
  having: fc.option(expressions),
  emit: fc.option(fc.constantFrom('CHANGES', 'FINAL')),
  limit: fc.option(whole),
  at: fc.constant(at),
});

const properties = fc.uniqueArray(
  fc.record({
    key: names.map((name) => name.toUpperCase()),
    value: fc.oneof(strings, fc.integer(), fc.boolean()),
    at: fc.constant(at),
  }),
  { maxLength: 3, selector: ({ key }) => key },
);
const flag = fc.boolean();
const sourceType = fc.constantFrom('STREAM', 'TABLE');

export const statements: fc.Arbitrary<Statement> = fc.oneof(
  selects.map((select): Statement => ({ kind: 'select', select, at })),
  fc.record({
    kind: fc.constant('createSource'),
    type: sourceType,
    name: names,
    orReplace: flag,
    readOnly: flag,
    ifNotExists: flag,
    columns: fc.array(
      fc.oneof(
        fc.record({
          name: names,
          type: types,
          role: fc.constantFrom('VALUE', 'KEY', 'PRIMARY KEY', 'HEADERS'),
          header: fc.constant(null),
          at: fc.constant(at),
        }),
        fc.record({
          name: names,
          type: types,
          role: fc.constant('HEADERS'),
          header: strings,
          at: fc.constant(at),
        }),
      ),
      { maxLength: 3 },
    ),
    properties,
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constant('createAs'),
    type: sourceType,
    name: names,
    orReplace: flag,
    ifNotExists: flag,
    properties,
    select: selects,
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constant('insertSelect'),
    name: names,
    queryId: fc.option(strings),
    select: selects,
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constant('insertValues'),
    name: names,
    columns: fc.option(fc.array(names, { minLength: 1, maxLength: 3 })),
    values: fc.array(expressions, { minLength: 1, maxLength: 3 }),
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constant('drop'),
    type: fc.constantFrom('STREAM', 'TABLE', 'TYPE'),
    name: names,
    ifExists: flag,
    deleteTopic: flag,
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constantFrom('terminate', 'pause', 'resume'),
    id: names.filter((name) => name !== 'ALL'),
    at: fc.constant(at),
  }),
  fc.record({
    kind: fc.constant('print'),
    topic: strings,
    fromBeginning: flag,
    interval: fc.option(whole),
    limit: fc.option(whole),
    at: fc.constant(at),
  }),
  fc.record({ kind: fc.constant('describe'), name: names, extended: flag, at: fc.constant(at) }),
  fc.record({ kind: fc.constant('set'), name: strings, value: strings, at: fc.constant(at) }),
  fc.record({ kind: fc.constant('define'), name: names, value: strings, at: fc.constant(at) }),
  fc.record({
    kind: fc.constant('alter'),
    type: sourceType,
    name: names,
    columns: fc.array(fc.record({ name: names, type: types }), { minLength: 1, maxLength: 2 }),
    at: fc.constant(at),
  }),
);

/** Without positions, which printing changes. */
export function withoutPlaces(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(withoutPlaces);
  if (tree === null || typeof tree !== 'object') return tree;
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) => (key === 'at' ? [] : [[key, withoutPlaces(value)]])),
  );
}
