import { describe, expect, it, test } from 'vitest';
import { alteredTable, isAhead } from '../../src/readers/mysql/altered-table.ts';
import type { MysqlTable } from '../../src/readers/mysql/catalogue.ts';
import { openColumn } from '../../src/readers/mysql/log-table.ts';
import type { MysqlColumn } from '../../src/readers/mysql/types/mysql-column.ts';

const ID = { schema: 'shop', table: 't' };

function tableOf(...columns: readonly (Partial<MysqlColumn> & { readonly name: string })[]): MysqlTable {
  return {
    id: ID,
    columns: columns.map((column) => ({ ...openColumn(column.name), ...column })),
    key: [],
    charset: 'utf8mb4',
    comment: null,
  };
}

const id = { name: 'id', dataType: 'int', columnType: 'int(11)' };

/** What statements make of a table of the one column `id`, where the catalogue says `present` by now. */
function followed(present: MysqlTable, ...statements: readonly string[]): MysqlTable {
  return statements.reduce((before, sql) => {
    const after = alteredTable(ID, { sql }, { before, present });
    if (after === null) throw new Error(`not understood: ${sql}`);
    return after;
  }, tableOf(id));
}

describe('a column whose name the catalogue has for another one by now', () => {
  // Found by random histories: a BIGINT UNSIGNED was read as the signed column that took its name later.
  it('keeps its sign through a rename', () => {
    const present = tableOf(id, { name: 'c8', dataType: 'bigint', columnType: 'bigint(20)' });
    const said = followed(
      present,
      'ALTER TABLE t ADD x BIGINT UNSIGNED',
      'ALTER TABLE t CHANGE x x BIGINT UNSIGNED',
      'ALTER TABLE t RENAME COLUMN x TO c8',
    );
    expect(said.columns[1]).toMatchObject({ name: 'c8', dataType: 'bigint', unsigned: true });
    expect(isAhead(present, said)).toBe(true);
  });

  test.each([
    ['INTEGER UNSIGNED', 'int', true],
    ['INT8', 'bigint', false],
    ['SERIAL', 'bigint', true],
    ['BOOLEAN', 'tinyint', false],
  ])('%s is an integer', (type, dataType, unsigned) => {
    const present = tableOf(id, { name: 'c', dataType: 'varchar', columnType: 'varchar(9)' });
    const said = followed(present, `ALTER TABLE t ADD c ${type}`);
    expect(said.columns[1]).toMatchObject({ dataType, unsigned });
    expect(isAhead(present, said)).toBe(true);
  });

  it('is not ahead where both are the same', () => {
    const present = tableOf(id, {
      name: 'c',
      dataType: 'int',
      columnType: 'int(10) unsigned',
      unsigned: true,
    });
    expect(isAhead(present, followed(present, 'ALTER TABLE t ADD c INTEGER UNSIGNED'))).toBe(false);
  });
});
