/** Prints changes as LogMiner does: the other direction of src/readers/oracle/redo/parse-redo.ts. */
import {
  CALLS,
  type Literal,
  PRESENT,
  type RedoStatement,
  UNSUPPORTED,
} from '../../../src/readers/oracle/redo/literal.ts';

export function printRedo(statement: Omit<RedoStatement, 'relaxed'>, alias = ''): string {
  const { op, schema, table, names, values, whereNames, whereValues, rowid } = statement;
  const name = `"${schema}"."${table}"`;
  const column = (text: string): string => (alias === '' ? `"${text}"` : `${alias}."${text}"`);
  if (op === 'insert') {
    return `insert into ${name}(${names.map((n) => `"${n}"`).join(',')}) values (${values.map(printLiteral).join(',')});`;
  }
  const predicates = whereNames.map((n, i) => {
    const value = whereValues[i]!;
    if (value === null) return `${column(n)} IS NULL`;
    if (value === PRESENT) return `${column(n)} IS NOT NULL`;
    return `${column(n)} = ${printLiteral(value)}`;
  });
  if (rowid !== null) predicates.push(`ROWID = '${rowid}'`);
  const where = predicates.length === 0 ? '' : ` where ${predicates.join(' and ')}`;
  const target = alias === '' ? name : `${name} ${alias}`;
  if (op === 'delete') return `delete from ${target}${where};`;
  return `update ${target} set ${names.map((n, i) => `${column(n)} = ${printLiteral(values[i]!)}`).join(', ')}${where};`;
}

function printLiteral(literal: Literal): string {
  if (literal === null) return 'NULL';
  if (literal === UNSUPPORTED) return 'Unsupported Type';
  if (literal === PRESENT) throw new Error('IS NOT NULL is no value');
  if (typeof literal === 'string') return `'${literal.replaceAll("'", "''")}'`;
  if (literal.kind === 'number') return literal.text;
  if (literal.kind === 'concat') return literal.parts.map(printLiteral).join(' || ');
  const mask = literal.name === 'TO_DATE' ? ", 'YYYY-MM-DD HH24:MI:SS'" : '';
  if (!CALLS.includes(literal.name)) throw new Error(`${literal.name} is no call of the grammar`);
  return `${literal.name}(${literal.argument === null ? '' : printLiteral(literal.argument) + mask})`;
}
