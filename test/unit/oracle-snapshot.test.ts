/** Snapshots by flashback query through the snapshot engine. */
import { afterEach, describe, expect, test } from 'vitest';
import { valuesOf } from '../../src/model/raw-row.ts';
import { tableName } from '../../src/model/table.ts';
import { type OraclePosition, ORACLE_POSITIONS } from '../../src/readers/oracle/position.ts';
import type { ConnectOracle } from '../../src/readers/oracle/session/oracle-session.ts';
import type { OracleSource } from '../../src/readers/oracle/source-info.ts';
import { SILENT } from '../../src/observability/log.ts';
import { createSnapshot, type Snapshot } from '../../src/snapshot/snapshot.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { rowIdOf } from '../support/oracle/row-ids.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const ORD = { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] };
const TABLES = { 'Q.ORD': ORD, 'Q.ITEM': ORD };
const [A, B] = [xid(1), xid(2)];

let harness: Harness | null = null;
const never = new AbortController().signal;

/** Rows 1 to `count` in blocks of ten, committed at SCN 1500. */
function fill(server: FakeOracle, table: number, count: number): void {
  const target = server.tables[table]!;
  const object = Number(target.dataObjectId);
  for (let id = 1; id <= count; id++) {
    target.rows.push({
      scn: 1500n,
      rowId: rowIdOf(object, Math.ceil(id / 10), id % 10),
      values: { ID: String(id), NAME: `n${id}` },
    });
  }
  target.extents = Array.from({ length: Math.ceil(count / 10) }, (_, i) => ({
    high: rowIdOf(object, i + 1, 32767),
    blocks: 1,
  }));
}

function snapshotOf(
  h: Harness,
  more: Partial<Parameters<typeof createSnapshot<OraclePosition, OracleSource>>[0]> = {},
): Snapshot<OraclePosition, OracleSource> {
  return createSnapshot<OraclePosition, OracleSource>({
    source: h.reader!.snapshotSource(),
    codec: ORACLE_POSITIONS,
    tables: ['ORD', 'ITEM'].map((table) => ({
      id: { schema: 'Q', table },
      key: ['ID'],
      estimatedRows: null,
      limitation: null,
    })),
    restored: new Map(h.state),
    mode: 'initial',
    parallelism: 3,
    chunkRows: 20,
    where: new Map(),
    walLimitBytes: null,
    retainedBytes: () => Promise.resolve(null),
    freshStart: h.opened?.continuity.kind !== 'continuous',
    onTableError: (id, error) => errors.push(`${tableName(id)} ${error.code}`),
    log: SILENT,
    ...more,
  });
}
const errors: string[] = [];

async function readAll(
  h: Harness,
  snapshot: Snapshot<OraclePosition, OracleSource>,
  until?: number,
): Promise<void> {
  for await (const batch of snapshot.readView(never)) {
    h.take(batch);
    if (until !== undefined && h.events.length >= until) return;
  }
}

const idsOf = (h: Harness, table: string): number[] =>
  h.events
    .filter((event) => event.table === table && event.op === 'r')
    .map(({ after }) => Number(after?.['ID']));
const sorted = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

afterEach(async () => {
  errors.length = 0;
  if (harness !== null) expect(await harness.close()).toEqual([]);
  harness = null;
});

describe('snapshot', () => {
  test('all rows once, over several connections and ranges of ROWIDs, as of one SCN', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    fill(server, 1, 7);
    server.tables[0]!.rows.push({
      scn: 2005n,
      rowId: rowIdOf(73_000, 99, 1),
      values: { ID: '1000', NAME: 'too late' },
    });
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    expect(h.opened?.continuity).toMatchObject({ kind: 'fresh', start: { read: 2000n, upTo: 2000n } });
    server.currentScn = 2010n;
    await readAll(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
    expect(sorted(idsOf(h, 'Q.ITEM'))).toEqual(upTo(7));
    const selects = server.statements.filter((sql) => sql.includes('AS OF SCN'));
    expect(selects.length).toBeGreaterThan(5);
    expect(selects.every((sql) => sql.includes('AS OF SCN 2000 '))).toBe(true);
    expect(h.events.every(({ scn }) => scn === '2000')).toBe(true);
  });

  test('rows with LOBs are held a few at a time', async () => {
    const server = serverWith({
      ...TABLES,
      'Q.ITEM': { columns: { ID: 'NUMBER(9,0)', NAME: 'CLOB' }, pk: ['ID'] },
    });
    fill(server, 0, 95);
    fill(server, 1, 95);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await readAll(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ITEM'))).toEqual(upTo(95));
    const most = (table: string): number =>
      Math.max(...server.cursors.flatMap(({ sql, rowsAtOnce }) => (sql.includes(table) ? [rowsAtOnce] : [])));
    expect(most('"ITEM"')).toBe(20);
    expect(most('"ORD"')).toBe(250);
  });

  test('mining begins before the oldest open transaction; what committed by the snapshot’s SCN is not delivered', async () => {
    const server = serverWith(TABLES);
    server.redo = new RedoScript(1990)
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' })
      .insert(B, 'Q.ORD', { ID: '2' })
      .commit(B, { at: 2000 })
      .commit(A, { at: 2005 }).rows;
    server.openTransactions = [1991n];
    const h = (harness = new Harness(server, { limits: { overlap: 2n } }, null));
    await h.open();
    expect(h.position).toMatchObject({ scn: 1988n, read: 2000n });
    await h.poll(2010n);
    expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['1']);
  });

  test('an open transaction whose beginning is no longer in the logs: from the oldest there is', async () => {
    const server = serverWith(TABLES);
    server.openTransactions = [0n];
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    expect(h.position?.scn).toBe(1000n);
  });

  test('killed in the middle: the rest is read while streaming, no row twice', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await readAll(h, snapshotOf(h), 40);
    const before = idsOf(h, 'Q.ORD').length;
    await h.restart();
    server.redo = new RedoScript()
      .update(A, 'Q.ORD', { NAME: 'new' }, { ID: '90', NAME: 'n90' })
      .commit(A).rows;
    server.tables[0]!.rows.push({
      scn: 2012n,
      rowId: rowIdOf(73_000, 9, 0),
      values: { ID: '90', NAME: 'new' },
    });
    server.currentScn = 2030n;
    await h.open();
    expect(h.opened?.continuity.kind).toBe('continuous');
    await merged(h, snapshotOf(h));
    expect(before).toBeGreaterThan(30);
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
    const last = h.events.filter(({ after }) => after?.['ID'] === '90').at(-1);
    expect(last?.after?.['NAME']).toBe('new');
  });

  test('the past of one table is gone (ORA-01555): it alone is read again, at a later SCN', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 30);
    fill(server, 1, 30);
    server.tables[1]!.undoHorizon = 2010n;
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    server.currentScn = 2020n;
    const snapshot = snapshotOf(h);
    await readAll(h, snapshot);
    expect(idsOf(h, 'Q.ITEM')).toEqual([]);
    await merged(h, snapshot);
    expect(errors).toEqual([]);
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(30));
    expect(sorted(idsOf(h, 'Q.ITEM'))).toEqual(upTo(30));
    expect(h.events.filter(({ table }) => table === 'Q.ITEM').every(({ scn }) => Number(scn) >= 2020)).toBe(
      true,
    );
  });

  test('a table without a key, whose past is gone, too', async () => {
    const server = serverWith({ ...TABLES, 'Q.ITEM': { ...ORD, pk: [] } });
    fill(server, 1, 12);
    server.tables[1]!.lastDdl = 2010n;
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    server.currentScn = 2020n;
    const snapshot = snapshotOf(h);
    await readAll(h, snapshot);
    await merged(h, snapshot);
    expect(sorted(idsOf(h, 'Q.ITEM'))).toEqual(upTo(12));
  });

  test('a table that was dropped meanwhile stays behind, the others go on', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 5);
    fill(server, 1, 5);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    server.tables.pop();
    await readAll(h, snapshotOf(h));
    expect(idsOf(h, 'Q.ORD')).toHaveLength(5);
    expect(errors).toEqual(['Q.ITEM snapshot.table-unreadable']);
  });

  test('a condition of the settings, and one the server does not accept', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 5);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await readAll(
      h,
      snapshotOf(h, {
        where: new Map([
          ['Q.ORD', 'nonsense'],
          ['Q.ITEM', 'ID > 3'],
        ]),
      }),
    );
    expect(errors).toEqual(['Q.ORD snapshot.where-invalid']);
    expect(server.statements.some((sql) => sql.includes('WHERE (ID > 3\n) ORDER BY T.ROWID'))).toBe(true);
  });

  test('extents may not be looked at: the table in one piece', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    server.mayReadExtents = false;
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await readAll(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
  });

  test('extents cannot be looked at just then: the attempt ends, rather than a large table is read in one piece', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    server.faults.push({ on: 'SQL', within: 'FROM DBA_EXTENTS', message: 'ORA-00604: recursive', times: 1 });
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await expect(readAll(h, snapshotOf(h))).rejects.toMatchObject({ code: 'source.query-interrupted' });
  });

  test('no more connections are to be had: a failure that another attempt may mend', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    const view = (await h.reader!.snapshotSource().openView({ parallelism: 1 }, never))!;
    const plan = await view.plan({ schema: 'Q', table: 'ORD' }, { chunkRows: 20, where: null }, never);
    const broken = { on: 'READ', message: 'ORA-03113: end-of-file', times: 1 };
    server.faults.push(broken, { on: 'CONNECT', message: 'NJS-511: refused ORA-12516', times: 1 });
    const rows = async (): Promise<void> => {
      for await (const block of view.rows(plan, { from: null, to: null }, never))
        expect(block.rows).not.toEqual([]);
    };
    await expect(rows()).rejects.toMatchObject({ code: 'source.connection-lost' });
    await expect(rows()).rejects.toMatchObject({ code: 'source.too-many-connections' });
    await rows();
    await view[Symbol.asyncDispose]();
  });

  test('a table that is not captured is gone; a transaction of long ago lies before the view', async () => {
    const server = serverWith(TABLES);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await using view = (await h.reader!.snapshotSource().openView({ parallelism: 1 }, never))!;
    const options = { chunkRows: 20, where: null };
    await expect(view.plan({ schema: 'Q', table: 'NONE' }, options, never)).rejects.toMatchObject({
      code: 'snapshot.table-unreadable',
    });
    server.redo = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A).rows;
    await h.poll(2020n);
    expect(view.sees(A)).toBe(false);
    expect(view.sees(B)).toBe(true);
    // The one of the beginning is given once.
    const again = h.reader!.snapshotSource();
    await (await again.openView({ parallelism: 1 }, never))?.[Symbol.asyncDispose]();
    expect(await again.openView({ parallelism: 1 }, never)).toBeNull();
  });

  test('in blocks of so many rows, of so many bytes', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 601);
    server.tables[0]!.rows[300] = {
      ...server.tables[0]!.rows[300]!,
      values: { ID: '301', NAME: 'x'.repeat(70_000) },
    };
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await using view = (await h.reader!.snapshotSource().openView({ parallelism: 1 }, never))!;
    const plan = await view.plan(
      { schema: 'Q', table: 'ORD' },
      { chunkRows: 9_999, where: null, chunks: [] },
      never,
    );
    const sizes: number[] = [];
    for await (const block of view.rows(plan, { from: null, to: null }, never)) sizes.push(block.rows.length);
    // The row of 70,000 bytes is the 302nd by its ROWID.
    expect(sizes).toEqual([250, 52, 250, 49]);
  });

  test('a value that is none of its column is told by its column', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 1);
    server.tables[0]!.rows[0] = { ...server.tables[0]!.rows[0]!, values: { ID: 'secret', NAME: 'x' } };
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    await readAll(h, snapshotOf(h)).catch((error: unknown) => errors.push(String(error)));
    expect(errors).toEqual(['Q.ORD source.value-unreadable']);
  });

  test('a connection that breaks while a table is read ends the attempt', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    server.faults.push({
      on: 'READ',
      afterRows: 3,
      message: 'ORA-03113: end-of-file on communication channel',
      times: 1,
    });
    await expect(readAll(h, snapshotOf(h))).rejects.toMatchObject({ code: 'source.connection-lost' });
  });
});

async function merged(h: Harness, snapshot: Snapshot<OraclePosition, OracleSource>): Promise<void> {
  const stop = new AbortController();
  const stream = h.reader!.read(h.position!, stop.signal);
  for await (const batch of snapshot.merge(stream, () => h.reader!.nudge(), stop.signal)) {
    h.take(batch);
    if (snapshot.done) break;
    // The database goes on living.
    h.server.currentScn += 1n;
  }
  stop.abort();
}

describe('rows that are moved', () => {
  const scn = 2020n;

  /** ALTER TABLE … MOVE: all rows are in another segment, under other ROWIDs, and the log has none of it. */
  function move(server: FakeOracle): void {
    const table = server.tables[0]!;
    const moved = Number(table.dataObjectId) + 1_000;
    const rows = [...table.rows];
    for (const { rowId } of rows) table.rows.push({ scn, rowId, values: null });
    rows.forEach(({ values }, i) =>
      table.rows.push({ scn, rowId: rowIdOf(moved, 1 + Math.floor(i / 10), i % 10), values }),
    );
    table.extents = table.extents.map(({ blocks }, i) => ({ high: rowIdOf(moved, i + 1, 32767), blocks }));
    table.dataObjectId = String(moved);
    table.lastDdl = scn;
    server.currentScn = scn + 10n;
  }

  /** SHRINK SPACE: the last rows are where the first blocks have room, in the same segment. */
  function shrink(server: FakeOracle): void {
    const table = server.tables[0]!;
    for (const { rowId, values } of table.rows.slice(60)) {
      table.rows.push(
        { scn, rowId, values: null },
        { scn, rowId: rowIdOf(73_000, 1, 100 + Number(values!['ID'])), values },
      );
    }
    server.currentScn = scn + 10n;
  }

  /** A snapshot of five chunks that was killed when some of them had been read: 1, and others not. */
  async function killed(
    chunks: readonly (0 | 1)[],
    connect?: (server: FakeOracle) => ConnectOracle,
  ): Promise<Harness> {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    const h = (harness = new Harness(server, {}, null, connect?.(server)));
    await h.open();
    await readAll(h, snapshotOf(h), 1);
    await h.restart();
    const ledger = JSON.parse(h.state.get('table/Q.ORD')!) as { readonly chunks: readonly unknown[] };
    expect(ledger.chunks).toHaveLength(chunks.length);
    h.state.set('table/Q.ORD', JSON.stringify({ ...ledger, chunks }));
    h.events.length = 0;
    return h;
  }

  test('by MOVE, from chunks still to be read behind those that have been: the table is read again', async () => {
    const h = await killed([0, 0, 1, 0, 1]);
    move(h.server);
    await h.open();
    await merged(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
    expect(errors).toEqual([]);
  });

  test('by MOVE, which a read finds out late: what has begun again does not do so twice', async () => {
    let asked = 0;
    const begun = Promise.withResolvers<void>();
    const h = await killed([0, 0, 1, 0, 1], (server) => async (...how) => {
      const session = await server.connect(...how);
      const query = session.query.bind(session);
      session.query = async (sql, binds) => {
        if (sql.includes('ROWID_OBJECT(')) {
          asked++;
          if (asked === 2) await begun.promise;
          if (asked > 3) {
            // Of the table that has begun again: the late one is told before it.
            begun.resolve();
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }
        return query(sql, binds);
      };
      return session;
    });
    move(h.server);
    const planned = (): number =>
      h.server.statements.filter((sql) => sql.includes('FROM DBA_EXTENTS')).length;
    const before = planned();
    await h.open();
    await merged(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
    expect(planned() - before).toBe(2); // and once for the other table
  });

  test('rows that stay where they are: only what was not read is', async () => {
    const h = await killed([0, 1, 1, 1, 0]);
    await h.open();
    await merged(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual([...upTo(20), ...upTo(95).slice(80)]);
  });

  test('whoever may not look at segments any more begins again, in one piece', async () => {
    const h = await killed([0, 1, 1, 1, 1]);
    h.server.mayReadExtents = false;
    await h.open();
    await merged(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(95));
  });

  test('segments that cannot be looked at just then are no reason to begin again', async () => {
    const h = await killed([0, 1, 1, 1, 1]);
    h.server.faults.push({
      on: 'SQL',
      within: 'ROWID_OBJECT(CHARTOROWID',
      message: 'ORA-00604: recursive',
      times: 1,
    });
    await h.open();
    await expect(merged(h, snapshotOf(h))).rejects.toMatchObject({ code: 'source.query-interrupted' });
    await h.restart();
    await h.open();
    await merged(h, snapshotOf(h));
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(20));
  });

  test('by SHRINK SPACE behind the view nobody would know: it is said that it must wait', async () => {
    const h = await killed([0, 1, 1, 1, 1]);
    h.server.tables[0]!.rowMovement = true;
    await h.open();
    await merged(h, snapshotOf(h));
    expect(h.told).toEqual([expect.stringContaining('SHRINK SPACE must wait')]);
    expect(sorted(idsOf(h, 'Q.ORD'))).toEqual(upTo(20));
  });

  test('by SHRINK SPACE while the view is read: they are seen where they were at its SCN', async () => {
    const server = serverWith(TABLES);
    fill(server, 0, 95);
    const h = (harness = new Harness(server, {}, null));
    await h.open();
    const view = (await h.reader!.snapshotSource().openView({ parallelism: 1 }, never))!;
    const plan = await view.plan({ schema: 'Q', table: 'ORD' }, { chunkRows: 20, where: null }, never);
    const ids: number[] = [];
    for (const range of plan.chunks) {
      for await (const { rows } of view.rows(plan, range, never)) {
        for (const { after } of rows) ids.push(Number(valuesOf(after)![0]));
      }
      if (server.currentScn < scn) shrink(server);
    }
    expect(sorted(ids)).toEqual(upTo(95));
    await view[Symbol.asyncDispose]();
  });
});
