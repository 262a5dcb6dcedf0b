/**
 * What the parser makes of a statement. Names are folded already. `at` is the offset of the piece that an error
 * about the node points to.
 */
import type { SqlType } from './sql-type.ts';

export interface At {
  readonly at: number;
}

export type BinaryOperator = '+' | '-' | '*' | '/' | '%' | '||';
export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type Expr =
  | (At & { readonly kind: 'null' })
  | (At & { readonly kind: 'boolean'; readonly value: boolean })
  /** Digits as written; the kind of number tells the type. */
  | (At & { readonly kind: 'integer' | 'decimal' | 'double'; readonly text: string })
  | (At & { readonly kind: 'string'; readonly value: string })
  | (At & { readonly kind: 'name'; readonly source: string | null; readonly name: string })
  | (At & { readonly kind: 'negate' | 'plus'; readonly operand: Expr })
  | (At & { readonly kind: 'not'; readonly operand: Expr })
  | (At & {
      readonly kind: 'binary';
      readonly op: BinaryOperator;
      readonly left: Expr;
      readonly right: Expr;
    })
  | (At & { readonly kind: 'and' | 'or'; readonly left: Expr; readonly right: Expr })
  | (At & {
      readonly kind: 'comparison';
      readonly op: ComparisonOperator;
      readonly left: Expr;
      readonly right: Expr;
    })
  | (At & { readonly kind: 'isNull'; readonly operand: Expr; readonly negated: boolean })
  | (At & {
      readonly kind: 'isDistinct';
      readonly left: Expr;
      readonly right: Expr;
      readonly negated: boolean;
    })
  | (At & {
      readonly kind: 'like';
      readonly operand: Expr;
      readonly pattern: Expr;
      readonly escape: string | null;
      readonly negated: boolean;
    })
  | (At & {
      readonly kind: 'between';
      readonly operand: Expr;
      readonly low: Expr;
      readonly high: Expr;
      readonly negated: boolean;
    })
  | (At & {
      readonly kind: 'in';
      readonly operand: Expr;
      readonly items: readonly Expr[];
      readonly negated: boolean;
    })
  | (At & { readonly kind: 'index'; readonly operand: Expr; readonly index: Expr })
  | (At & { readonly kind: 'field'; readonly operand: Expr; readonly name: string })
  | (At & {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expr[];
      /** `COUNT(*)` */
      readonly star: boolean;
    })
  | (At & {
      readonly kind: 'case';
      readonly operand: Expr | null;
      readonly branches: readonly { readonly when: Expr; readonly result: Expr }[];
      readonly otherwise: Expr | null;
    })
  | (At & { readonly kind: 'cast'; readonly operand: Expr; readonly type: SqlType })
  | (At & { readonly kind: 'array'; readonly items: readonly Expr[] })
  | (At & {
      readonly kind: 'map';
      readonly entries: readonly { readonly key: Expr; readonly value: Expr }[];
    })
  | (At & {
      readonly kind: 'struct';
      readonly fields: readonly { readonly name: string; readonly value: Expr }[];
    })
  | (At & { readonly kind: 'lambda'; readonly parameters: readonly string[]; readonly body: Expr });

export type SelectItem =
  | (At & { readonly kind: 'star'; readonly source: string | null })
  /** `s->*` */
  | (At & { readonly kind: 'fields'; readonly operand: Expr })
  | (At & { readonly kind: 'expr'; readonly expr: Expr; readonly alias: string | null });

export type AsOf = 'COMMIT' | 'STATEMENT' | 'BEFORE' | 'ROWTIME';

export interface SourceRef extends At {
  readonly name: string;
  readonly alias: string | null;
  readonly asOf: AsOf | null;
}

export type Unit = 'DAY' | 'HOUR' | 'MINUTE' | 'SECOND' | 'MILLISECOND';

export interface Duration {
  readonly count: number;
  readonly unit: Unit;
}

export interface Within {
  readonly before: Duration;
  /** Null where one duration stands for both. */
  readonly after: Duration | null;
  readonly grace: Duration | null;
}

export interface JoinClause extends At {
  readonly kind: 'INNER' | 'LEFT' | 'RIGHT' | 'FULL';
  readonly source: SourceRef;
  readonly within: Within | null;
  readonly on: Expr;
}

export interface WindowClause extends At {
  readonly kind: 'TUMBLING' | 'HOPPING' | 'SESSION';
  readonly name: string | null;
  /** The gap of a session. */
  readonly size: Duration;
  readonly advance: Duration | null;
  readonly retention: Duration | null;
  readonly grace: Duration | null;
}

export interface Select extends At {
  readonly items: readonly SelectItem[];
  readonly from: SourceRef;
  readonly joins: readonly JoinClause[];
  readonly window: WindowClause | null;
  readonly where: Expr | null;
  readonly groupBy: readonly Expr[] | null;
  readonly partitionBy: readonly Expr[] | null;
  readonly having: Expr | null;
  readonly emit: 'CHANGES' | 'FINAL' | null;
  readonly limit: number | null;
}

export interface Property extends At {
  /** Upper case where it was a bare word. */
  readonly key: string;
  readonly value: string | number | boolean;
}

export interface ColumnDefinition extends At {
  readonly name: string;
  readonly type: SqlType;
  readonly role: 'VALUE' | 'KEY' | 'PRIMARY KEY' | 'HEADERS';
  /** `HEADER('name')` */
  readonly header: string | null;
}

export type SourceKind = 'STREAM' | 'TABLE';

export interface CreateSource extends At {
  readonly kind: 'createSource';
  readonly type: SourceKind;
  readonly name: string;
  readonly orReplace: boolean;
  readonly readOnly: boolean;
  readonly ifNotExists: boolean;
  readonly columns: readonly ColumnDefinition[];
  readonly properties: readonly Property[];
}

export interface CreateAs extends At {
  readonly kind: 'createAs';
  readonly type: SourceKind;
  readonly name: string;
  readonly orReplace: boolean;
  readonly ifNotExists: boolean;
  readonly properties: readonly Property[];
  readonly select: Select;
}

export interface InsertSelect extends At {
  readonly kind: 'insertSelect';
  readonly name: string;
  readonly queryId: string | null;
  readonly select: Select;
}

export type Statement =
  | CreateSource
  | CreateAs
  | InsertSelect
  | (At & {
      readonly kind: 'insertValues';
      readonly name: string;
      readonly columns: readonly string[] | null;
      readonly values: readonly Expr[];
    })
  | (At & { readonly kind: 'select'; readonly select: Select })
  | (At & {
      readonly kind: 'drop';
      readonly type: SourceKind | 'TYPE';
      readonly name: string;
      readonly ifExists: boolean;
      readonly deleteTopic: boolean;
    })
  /** `id` null: ALL */
  | (At & { readonly kind: 'terminate' | 'pause' | 'resume'; readonly id: string | null })
  | (At & {
      readonly kind: 'show';
      readonly what:
        'TOPICS' | 'STREAMS' | 'TABLES' | 'QUERIES' | 'FUNCTIONS' | 'PROPERTIES' | 'TYPES' | 'VARIABLES';
      readonly all: boolean;
      readonly extended: boolean;
    })
  | (At & { readonly kind: 'describe'; readonly name: string; readonly extended: boolean })
  | (At & { readonly kind: 'describeAll'; readonly what: 'STREAMS' | 'TABLES' })
  | (At & { readonly kind: 'describeFunction'; readonly name: string })
  | (At & { readonly kind: 'explain'; readonly statement: Statement })
  | (At & { readonly kind: 'explainQuery'; readonly id: string })
  | (At & {
      readonly kind: 'print';
      readonly topic: string;
      readonly fromBeginning: boolean;
      readonly interval: number | null;
      readonly limit: number | null;
    })
  | (At & { readonly kind: 'set'; readonly name: string; readonly value: string })
  | (At & { readonly kind: 'unset'; readonly name: string })
  | (At & { readonly kind: 'define'; readonly name: string; readonly value: string })
  | (At & { readonly kind: 'undefine'; readonly name: string })
  | (At & {
      readonly kind: 'createType';
      readonly name: string;
      readonly ifNotExists: boolean;
      readonly type: SqlType;
    })
  | (At & {
      readonly kind: 'alter';
      readonly type: SourceKind;
      readonly name: string;
      readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
    })
  /** Recognised, and answered with what to do instead. */
  | (At & { readonly kind: 'unsupported'; readonly what: string });
