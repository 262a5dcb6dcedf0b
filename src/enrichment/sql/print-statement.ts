/** Statements as SQL text that parses to the same tree. */
import type {
  Duration,
  JoinClause,
  Property,
  Select,
  SelectItem,
  SourceRef,
  Statement,
  WindowClause,
  Within,
} from './ast.ts';
import { printExpression } from './print-expression.ts';
import { typeText } from './sql-type.ts';
import { nameText, stringText } from './words.ts';

/** Without a `;` at the end. */
export function printStatement(statement: Statement): string {
  switch (statement.kind) {
    case 'createSource': {
      const { orReplace, readOnly, type, ifNotExists, name, columns, properties } = statement;
      const head = `CREATE ${orReplace ? 'OR REPLACE ' : ''}${readOnly ? 'SOURCE ' : ''}${type} ${ifNotExists ? 'IF NOT EXISTS ' : ''}${nameText(name)}`;
      const defined = columns.map(({ name, type, role, header }) => {
        const suffix =
          header !== null ? ` HEADER(${stringText(header)})` : role === 'VALUE' ? '' : ` ${role}`;
        return `${nameText(name)} ${typeText(type)}${suffix}`;
      });
      return head + (defined.length === 0 ? '' : ` (${defined.join(', ')})`) + withText(properties);
    }
    case 'createAs': {
      const { orReplace, type, ifNotExists, name, properties, select } = statement;
      return `CREATE ${orReplace ? 'OR REPLACE ' : ''}${type} ${ifNotExists ? 'IF NOT EXISTS ' : ''}${nameText(name)}${withText(properties)} AS ${printSelect(select)}`;
    }
    case 'insertSelect': {
      const id = statement.queryId === null ? '' : ` WITH (QUERY_ID = ${stringText(statement.queryId)})`;
      return `INSERT INTO ${nameText(statement.name)}${id} ${printSelect(statement.select)}`;
    }
    case 'insertValues': {
      const { name, columns, values } = statement;
      const list = columns === null ? '' : ` (${columns.map(nameText).join(', ')})`;
      return `INSERT INTO ${nameText(name)}${list} VALUES (${values.map(printExpression).join(', ')})`;
    }
    case 'select':
      return printSelect(statement.select);
    case 'drop': {
      const { type, ifExists, name, deleteTopic } = statement;
      return `DROP ${type} ${ifExists ? 'IF EXISTS ' : ''}${nameText(name)}${deleteTopic ? ' DELETE TOPIC' : ''}`;
    }
    case 'terminate':
    case 'pause':
    case 'resume':
      return `${statement.kind.toUpperCase()} ${statement.id === null ? 'ALL' : nameText(statement.id)}`;
    case 'show':
      return `SHOW ${statement.all ? 'ALL ' : ''}${statement.what}${statement.extended ? ' EXTENDED' : ''}`;
    case 'describe':
      return `DESCRIBE ${lone(statement.name, statement.extended)}${statement.extended ? ' EXTENDED' : ''}`;
    case 'describeAll':
      return `DESCRIBE ${statement.what}`;
    case 'describeFunction':
      return `DESCRIBE FUNCTION ${nameText(statement.name)}`;
    case 'explain':
      return `EXPLAIN ${printStatement(statement.statement)}`;
    case 'explainQuery':
      return `EXPLAIN ${nameText(statement.id)}`;
    case 'print': {
      const { topic, fromBeginning, interval, limit } = statement;
      const spaced = interval === null ? '' : ` INTERVAL ${interval}`;
      return `PRINT ${stringText(topic)}${fromBeginning ? ' FROM BEGINNING' : ''}${spaced}${limitText(limit)}`;
    }
    case 'set':
      return `SET ${stringText(statement.name)} = ${stringText(statement.value)}`;
    case 'unset':
      return `UNSET ${stringText(statement.name)}`;
    case 'define':
      return `DEFINE ${nameText(statement.name)} = ${stringText(statement.value)}`;
    case 'undefine':
      return `UNDEFINE ${nameText(statement.name)}`;
    case 'createType': {
      const { ifNotExists, name, type } = statement;
      return `CREATE TYPE ${ifNotExists ? 'IF NOT EXISTS ' : ''}${nameText(name)} AS ${typeText(type)}`;
    }
    case 'alter': {
      const added = statement.columns.map(({ name, type }) => `ADD COLUMN ${quoted(name)} ${typeText(type)}`);
      return `ALTER ${statement.type} ${nameText(statement.name)} ${added.join(', ')}`;
    }
    case 'unsupported':
      return statement.what;
  }
}

function quoted(name: string): string {
  return '`' + name.replaceAll('`', '``') + '`';
}

/** A source called STREAMS, TABLES or FUNCTION would be read as the list of them. */
function lone(name: string, extended: boolean): string {
  const listed = name === 'STREAMS' || name === 'TABLES' || name === 'FUNCTION';
  return listed && !extended ? quoted(name) : nameText(name);
}

function withText(properties: readonly Property[]): string {
  if (properties.length === 0) return '';
  const list = properties.map(({ key, value }) => {
    const text = typeof value === 'string' ? stringText(value) : String(value).toUpperCase();
    return `${nameText(key)} = ${text}`;
  });
  return ` WITH (${list.join(', ')})`;
}

function printSelect(select: Select): string {
  const { items, from, joins, window, where, groupBy, partitionBy, having, emit, limit } = select;
  return (
    `SELECT ${items.map(itemText).join(', ')} FROM ${sourceText(from)}` +
    joins.map(joinText).join('') +
    (window === null ? '' : ` WINDOW ${windowText(window)}`) +
    (where === null ? '' : ` WHERE ${printExpression(where)}`) +
    (groupBy === null ? '' : ` GROUP BY (${groupBy.map(printExpression).join(', ')})`) +
    (partitionBy === null ? '' : ` PARTITION BY (${partitionBy.map(printExpression).join(', ')})`) +
    (having === null ? '' : ` HAVING ${printExpression(having)}`) +
    (emit === null ? '' : ` EMIT ${emit}`) +
    limitText(limit)
  );
}

function limitText(limit: number | null): string {
  return limit === null ? '' : ` LIMIT ${limit}`;
}

function itemText(item: SelectItem): string {
  switch (item.kind) {
    case 'star':
      return item.source === null ? '*' : `${nameText(item.source)}.*`;
    case 'fields':
      return `(${printExpression(item.operand)})->*`;
    case 'expr':
      return printExpression(item.expr) + (item.alias === null ? '' : ` AS ${nameText(item.alias)}`);
  }
}

function sourceText({ name, alias, asOf }: SourceRef): string {
  return (
    nameText(name) +
    (alias === null ? '' : ` AS ${nameText(alias)}`) +
    (asOf === null ? '' : ` FOR SYSTEM_TIME AS OF ${asOf}`)
  );
}

function joinText({ kind, source, within, on }: JoinClause): string {
  return ` ${kind} JOIN ${sourceText(source)}${within === null ? '' : withinText(within)} ON ${printExpression(on)}`;
}

function withinText({ before, after, grace }: Within): string {
  const span = after === null ? durationText(before) : `(${durationText(before)}, ${durationText(after)})`;
  return ` WITHIN ${span}${grace === null ? '' : ` GRACE PERIOD ${durationText(grace)}`}`;
}

function windowText({ kind, name, size, advance, retention, grace }: WindowClause): string {
  return (
    `${name === null ? '' : `${nameText(name)} `}${kind} (${kind === 'SESSION' ? '' : 'SIZE '}${durationText(size)}` +
    (advance === null ? '' : `, ADVANCE BY ${durationText(advance)}`) +
    (retention === null ? '' : `, RETENTION ${durationText(retention)}`) +
    (grace === null ? '' : `, GRACE PERIOD ${durationText(grace)}`) +
    ')'
  );
}

function durationText({ count, unit }: Duration): string {
  return `${count} ${unit}S`;
}
