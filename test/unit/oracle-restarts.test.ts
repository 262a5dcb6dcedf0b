/**
 * What a script delivers is the same wherever the reader is killed: behind each event, with all that came later lost,
 * and with windows of any size.
 */
import { expect, test } from 'vitest';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = {
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] },
  'Q.ITEM': { columns: { ID: 'NUMBER(9,0)' }, pk: ['ID'] },
};
const [A, B, C] = [xid(1), xid(2), xid(3)];
const END = 2080n;

interface Scenario {
  readonly title: string;
  readonly script: () => RedoScript;
  readonly events: readonly string[];
  /** What else is so at the server. */
  readonly server?: (server: FakeOracle) => void;
  /** Durable state from before. */
  readonly state?: ReadonlyMap<string, string>;
}

/** The first shape of Q.ORD; the catalogue is ahead. */
const FIRST_SHAPE = JSON.stringify({
  v: 1,
  versions: [
    {
      version: 1,
      from: '0',
      objectId: '73000',
      dataObjectIds: ['73000'],
      columns: [
        {
          name: 'ID',
          dataType: 'NUMBER',
          length: null,
          precision: 9,
          scale: 0,
          nullable: false,
          default: null,
        },
        {
          name: 'NAME',
          dataType: 'VARCHAR2',
          length: 40,
          precision: null,
          scale: null,
          nullable: true,
          default: null,
        },
      ],
      key: ['ID'],
      approximate: false,
    },
  ],
});

const longOne = (): RedoScript => {
  const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1', NAME: 'a' });
  for (let i = 10; i < 18; i++)
    script
      .start(B)
      .insert(B, 'Q.ITEM', { ID: String(i) })
      .commit(B);
  return script.insert(A, 'Q.ORD', { ID: '2', NAME: 'b' }, { at: 2060 }).commit(A);
};
const longEvents = [
  ...Array.from({ length: 8 }, (_, i) => `c Q.ITEM {"ID":"${i + 10}"}`),
  'c Q.ORD {"ID":"1","NAME":"a"}',
  'c Q.ORD {"ID":"2","NAME":"b"}',
];

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'one commit of an insert, an update and a delete',
    script: () =>
      new RedoScript()
        .start(A)
        .insert(A, 'Q.ORD', { ID: '1', NAME: 'a' })
        .update(A, 'Q.ORD', { NAME: 'b' }, { ID: '1', NAME: 'a' })
        .delete(A, 'Q.ORD', { ID: '1', NAME: 'b' })
        .commit(A),
    events: ['c Q.ORD {"ID":"1","NAME":"a"}', 'u Q.ORD {"ID":"1","NAME":"b"}', 'd Q.ORD null'],
  },
  {
    title: 'two interleaved transactions that commit in another order than they begin',
    script: () =>
      new RedoScript()
        .start(A)
        .insert(A, 'Q.ORD', { ID: '1', NAME: 'a' })
        .start(B)
        .insert(B, 'Q.ITEM', { ID: '2' })
        .insert(A, 'Q.ITEM', { ID: '3' })
        .commit(B)
        .commit(A),
    events: ['c Q.ITEM {"ID":"2"}', 'c Q.ORD {"ID":"1","NAME":"a"}', 'c Q.ITEM {"ID":"3"}'],
  },
  { title: 'a long transaction over many windows', script: longOne, events: longEvents },
  {
    title: 'a long transaction over a log switch',
    script: longOne,
    events: longEvents,
    server: (server) => server.switchLog(1, 2030n),
  },
  {
    title: 'a log switch while rows are fetched (ORA-00310)',
    script: longOne,
    events: longEvents,
    server: (server) => {
      server.faults.push({
        on: 'FETCH',
        afterRows: 3,
        message: 'ORA-00310: archived log contains sequence 11; sequence 10 required',
        times: 1,
        meanwhile: () => server.switchLog(1, 2030n),
      });
    },
  },
  {
    title: 'a savepoint and a rollback, between others’ commits',
    script: () =>
      new RedoScript()
        .start(A)
        .insert(A, 'Q.ORD', { ID: '1', NAME: 'a' }, { row: 1 })
        .insert(A, 'Q.ORD', { ID: '2', NAME: 'b' }, { row: 2 })
        .start(B)
        .insert(B, 'Q.ITEM', { ID: '7' })
        .undo(A, 2, 'Q.ORD', { row: 2 })
        .commit(B)
        .start(C)
        .insert(C, 'Q.ITEM', { ID: '8' })
        .rollback(C)
        .commit(A),
    events: ['c Q.ITEM {"ID":"7"}', 'c Q.ORD {"ID":"1","NAME":"a"}'],
  },
  {
    title: 'DDL: add, rename and drop a column, truncate, drop and create anew',
    script: () =>
      new RedoScript()
        .insert(A, 'Q.ORD', { ID: '1', NAME: 'a' })
        .commit(A)
        .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD ADD (NOTE VARCHAR2(9))')
        .commit(B)
        .insert(A, 'Q.ORD', { ID: '2', NAME: 'b', NOTE: 'n' })
        .commit(A)
        .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD RENAME COLUMN NOTE TO REMARK')
        .commit(B)
        .insert(A, 'Q.ORD', { ID: '3', NAME: 'c', REMARK: 'm' })
        .commit(A)
        .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD DROP COLUMN NAME')
        .commit(B)
        .insert(A, 'Q.ORD', { ID: '4', REMARK: 'l' })
        .commit(A)
        .ddl(B, 'Q.ORD', 'TRUNCATE TABLE Q.ORD')
        .commit(B)
        .ddl(B, 'Q.ORD', 'DROP TABLE Q.ORD PURGE')
        .commit(B)
        .ddl(B, 'Q.ORD', 'CREATE TABLE Q.ORD (ID NUMBER(9) PRIMARY KEY, KIND VARCHAR2(3))')
        .commit(B)
        .insert(A, 'Q.ORD', { ID: '5', KIND: 'k' })
        .commit(A),
    events: [
      'c Q.ORD {"ID":"1","NAME":"a"}',
      'ddl Q.ORD {"ID":"NUMBER","NAME":"VARCHAR2","NOTE":"VARCHAR2"}',
      'c Q.ORD {"ID":"2","NAME":"b","NOTE":"n"}',
      'ddl Q.ORD {"ID":"NUMBER","NAME":"VARCHAR2","REMARK":"VARCHAR2"}',
      'c Q.ORD {"ID":"3","NAME":"c","REMARK":"m"}',
      'ddl Q.ORD {"ID":"NUMBER","REMARK":"VARCHAR2"}',
      'c Q.ORD {"ID":"4","REMARK":"l"}',
      't Q.ORD null',
      'ddl Q.ORD null',
      'ddl Q.ORD {"ID":"NUMBER","KIND":"VARCHAR2"}',
      'c Q.ORD {"ID":"5","KIND":"k"}',
    ],
    server: (server) => {
      server.tables[0]!.columns = [fakeColumn('ID', 'NUMBER(9,0)', true), fakeColumn('KIND', 'VARCHAR2(3)')];
    },
    state: new Map([['schema/Q.ORD', FIRST_SHAPE]]),
  },
  {
    title: 'a table is dropped and another one takes its name, within a transaction of somebody else',
    script: () =>
      new RedoScript()
        .start(C)
        .insert(C, 'Q.ORD', { ID: '1', NAME: 'a' })
        .ddl(B, 'Q.ITEM', 'DROP TABLE Q.ITEM PURGE')
        .commit(B)
        .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD RENAME TO ITEM')
        .commit(B)
        .insert(A, 'Q.ITEM', { ID: '9', NAME: 'z' })
        .commit(A)
        .commit(C),
    events: [
      'ddl Q.ITEM null',
      'ddl Q.ORD null',
      'ddl Q.ITEM {"ID":"NUMBER","NAME":"VARCHAR2"}',
      'c Q.ITEM {"ID":"9","NAME":"z"}',
      'c Q.ORD {"ID":"1","NAME":"a"}',
    ],
  },
];

function opened({ script, server: prepare, state = new Map() }: Scenario, window: bigint): Harness {
  const server = serverWith(TABLES);
  server.redo = script().rows;
  prepare?.(server);
  const limits = { batchChanges: 1, windowStart: window, windowLeast: window, windowMost: window };
  const harness = new Harness(server, { limits });
  harness.state = new Map(state);
  return harness;
}

function delivered({ events }: Harness): string[] {
  return events.map(({ op, table, after }) => `${op} ${table} ${JSON.stringify(after)}`);
}

test.each(SCENARIOS.map((scenario) => [scenario.title, scenario] as const))('%s', async (_, scenario) => {
  for (const window of [3n, 11n, 1_000n]) {
    for (let acked = 0; acked <= scenario.events.length; acked++) {
      const h = opened(scenario, window);
      await h.poll(END);
      expect(delivered(h)).toEqual(scenario.events);
      await h.restart(acked);
      if (h.stored.length === 0) h.state = new Map(scenario.state);
      await h.poll(END);
      expect(delivered(h), `windows of ${window}, killed behind event ${acked}`).toEqual(scenario.events);
      expect(await h.close()).toEqual([]);
    }
  }
});
