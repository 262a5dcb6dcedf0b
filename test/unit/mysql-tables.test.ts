/** Statements while the catalogue is ahead of the log: what each has done is told once, wherever the daemon begins again. */
import { expect, test } from 'vitest';
import { SILENT } from '../../src/observability/log.ts';
import { TYPE } from '../../src/readers/mysql/binlog/event-types.ts';
import type { TableMap } from '../../src/readers/mysql/binlog/table-map.ts';
import type { MysqlTable } from '../../src/readers/mysql/catalogue.ts';
import { openColumn } from '../../src/readers/mysql/log-table.ts';
import { SchemaHistory } from '../../src/readers/mysql/schema-history.ts';
import type { MysqlTx, StreamPlace } from '../../src/readers/mysql/source-info.ts';
import { Tables } from '../../src/readers/mysql/tables.ts';
import type { MysqlChange } from '../support/mysql-reader.ts';

const ID = { schema: 'shop', table: 't' };

function tableOf(...names: readonly string[]): MysqlTable {
  const columns = names.map((name) => ({ ...openColumn(name), dataType: 'int', columnType: 'int' }));
  return { id: ID, columns, key: [], charset: 'utf8mb4', comment: null };
}

/** Rows of so many INTs; the log has no names. */
function mapOf(columns: number): TableMap {
  return {
    tableId: 1,
    id: ID,
    columns: Array.from({ length: columns }, () => ({ type: TYPE.long, meta: 0, nullable: true })),
    metadata: {
      unsigned: null,
      collations: null,
      names: null,
      values: null,
      key: null,
      dimensions: null,
      geometryTypes: null,
      visible: null,
    },
  };
}

const tx: MysqlTx = { id: 'x:1', gtid: null, commitTimeUs: 0, serverId: 1, thread: null };
const place: StreamPlace = {
  at: () => ({ connector: 'mysql', tx, file: 'binlog.000001', pos: 4, row: 0, query: null }),
  tx: () => tx,
  nextSeq: () => 0,
  position: () => null,
};

/** A statement, or rows of a table of so many columns. */
type Step = string | number;

/**
 * `present`: the table in the catalogue; or, where the log tells of statements before the catalogue shows them, what it
 * has as long as nobody waits. `restarts`: before which steps the daemon begins again, from the state it had then.
 */
async function told(
  present: MysqlTable | null | { readonly early: MysqlTable; readonly visible: MysqlTable },
  steps: readonly Step[],
  restarts: (step: number) => boolean,
): Promise<readonly (readonly [ddl: string | null, columns: string | null, isNew: boolean])[]> {
  const state = new Map<string, string>();
  let shown = present !== null && 'early' in present ? present.early : present;
  const open = (described: readonly MysqlTable[], continuous: boolean) => {
    const history = new SchemaHistory(state);
    const tables = new Tables({
      connector: 'mysql',
      isCaptured: () => true,
      described,
      history,
      continuous,
      types: { zeroDates: 'null', unsignedOverflow: 'quarantine' },
      describe: () => Promise.resolve(shown),
      untilVisible: async () => {
        if (present !== null && 'early' in present) shown = present.visible;
      },
      lowerCase: false,
      log: SILENT,
    });
    return { tables, history };
  };
  let { tables, history } = open([tableOf('id', 'a')], false);
  const changes: MysqlChange[] = [];
  for (const [i, step] of steps.entries()) {
    if (restarts(i)) {
      for (const [key, text] of history.takeChanged() ?? []) {
        if (text === null) state.delete(key);
        else state.set(key, text);
      }
      ({ tables, history } = open(shown === null ? [] : [shown], true));
    }
    if (typeof step === 'number') {
      changes.push(...(await tables.resolve(mapOf(step), Buffer.alloc(0), place)).changes);
    } else {
      const query = { database: 'shop', sql: step, plainBackslashes: false, thread: 1, usesTemporary: false };
      changes.push(...(await tables.statement(query, place)));
    }
  }
  return changes.flatMap((change) =>
    change.kind === 'schema'
      ? [
          [
            change.ddl,
            change.description?.columns.map(({ name }) => name).join() ?? null,
            change.previous === null,
          ] as const,
        ]
      : [],
  );
}

const RESTARTS: readonly (readonly [string, (step: number) => boolean])[] = [
  ['never', () => false],
  ['before every step', () => true],
  ['once', (step) => step === 1],
  ['later', (step) => step === 2],
];

test.each(RESTARTS)(
  'what a statement did is told with the first row behind it; restarted %s',
  async (_, restarts) => {
    const steps = ['ALTER TABLE t ADD b INT', 3, 3, 'ALTER TABLE t RENAME COLUMN b TO c', 3];
    expect(await told(tableOf('id', 'a', 'c'), steps, restarts)).toEqual([
      ['ALTER TABLE t ADD b INT', 'id,a,b', false],
      ['ALTER TABLE t RENAME COLUMN b TO c', 'id,a,c', false],
    ]);
  },
);

test.each(RESTARTS)('or else before the next statement; restarted %s', async (_, restarts) => {
  const steps = [
    'ALTER TABLE t ADD b INT',
    'ALTER TABLE t ADD c INT',
    'ALTER TABLE t DROP a',
    'RENAME TABLE t TO old, other TO t',
  ];
  expect(await told(tableOf('id', 'x'), steps.slice(0, 3), restarts)).toEqual([
    ['ALTER TABLE t ADD b INT', 'id,a,b', false],
    ['ALTER TABLE t ADD c INT', 'id,a,b,c', false],
  ]);
  expect((await told(tableOf('id', 'x'), steps, restarts)).slice(0, 3)).toEqual([
    ['ALTER TABLE t ADD b INT', 'id,a,b', false],
    ['ALTER TABLE t ADD c INT', 'id,a,b,c', false],
    ['ALTER TABLE t DROP a', 'id,b,c', false],
  ]);
});

test.each(RESTARTS)('also of a table that is gone by now; restarted %s', async (_, restarts) => {
  const steps = ['ALTER TABLE t ADD b INT', 'DROP TABLE t', 'CREATE TABLE t (k INT)', 1, 'DROP TABLE t'];
  expect(await told(null, steps, restarts)).toEqual([
    ['ALTER TABLE t ADD b INT', 'id,a,b', false],
    ['DROP TABLE `shop`.`t`', null, false],
    ['CREATE TABLE t (k INT)', 'k', true],
    ['DROP TABLE `shop`.`t`', null, false],
  ]);
});

test('what the log tells before the catalogue shows it is waited for, and told at once', async () => {
  const late = { early: tableOf('id', 'a'), visible: tableOf('id', 'a', 'b') };
  const added = ['ALTER TABLE t ADD b INT', 'id,a,b', false] as const;
  expect(await told(late, ['ALTER TABLE t ADD b INT'], () => false)).toEqual([added]);
  // Where the wait is in vain, with the first row.
  const never = { early: tableOf('id', 'a'), visible: tableOf('id', 'a') };
  expect(await told(never, ['ALTER TABLE t ADD b INT'], () => false)).toEqual([]);
  expect(await told(never, ['ALTER TABLE t ADD b INT', 3], () => false)).toEqual([added]);
});

test('a history that is gone, or that nobody can read, is made anew from the catalogue', async () => {
  for (const text of [null, '', '{"version', '[]', '{"version":1,"table":{},"versions":7}']) {
    const history = new SchemaHistory(
      new Map(
        text === null
          ? []
          : [
              ['schema/shop.t', text],
              ['followed/shop.t', text],
            ],
      ),
    );
    const tables = new Tables({
      connector: 'mysql',
      isCaptured: () => true,
      described: [tableOf('id', 'a')],
      history,
      continuous: true,
      types: { zeroDates: 'null', unsignedOverflow: 'quarantine' },
      describe: () => Promise.resolve(tableOf('id', 'a')),
      untilVisible: () => Promise.resolve(),
      lowerCase: false,
      log: SILENT,
    });
    const { state } = await tables.resolve(mapOf(2), Buffer.alloc(0), place);
    expect(state.captured?.schema.columns.map(({ name }) => name)).toEqual(['id', 'a']);
    expect(state.captured?.unreadable).toBe(null);
    expect([...(history.takeChanged()?.keys() ?? [])]).toContain('schema/shop.t');
  }
});
