/** The reader on scripted redo: transactions, undo, windows, restarts. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const ORD = { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)', QTY: 'NUMBER(9,0)' }, pk: ['ID'] };
const TABLES = { 'Q.ORD': ORD, 'Q.ITEM': ORD };
const [A, B, C] = [xid(1), xid(2), xid(3)];

let harness: Harness;

function run(server: FakeOracle, ...more: [] | [ConstructorParameters<typeof Harness>[1]]): Harness {
  harness = new Harness(server, ...more);
  return harness;
}

function scripted(script: RedoScript, tables: Parameters<typeof serverWith>[0] = TABLES): FakeOracle {
  const server = serverWith(tables);
  server.redo = script.rows;
  return server;
}

const short = (h: Harness): string[] =>
  h.events.map(({ op, table, after, before }) => `${op} ${table} ${(after ?? before)?.['ID'] ?? ''}`);

afterEach(async () => {
  vi.restoreAllMocks();
  expect(await harness.close()).toEqual([]);
});

describe('transactions', () => {
  test('an insert, an update and a delete, with all that the source block needs', async () => {
    const script = new RedoScript()
      .start(A, { extra: { USERNAME: 'ANN' } })
      .insert(A, 'Q.ORD', { ID: '1', NAME: 'lamp', QTY: '1' })
      .update(A, 'Q.ORD', { QTY: '2' }, { ID: '1', NAME: 'lamp', QTY: '1' })
      .delete(A, 'Q.ORD', { ID: '1', NAME: 'lamp', QTY: '2' })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2020n);
    expect(h.events).toEqual([
      {
        op: 'c',
        table: 'Q.ORD',
        before: null,
        after: { ID: '1', NAME: 'lamp', QTY: '1' },
        scn: '2012',
        txId: A,
        commit_scn: '2015',
        seq: 1,
        thread: 1,
      },
      {
        op: 'u',
        table: 'Q.ORD',
        before: { ID: '1', NAME: 'lamp', QTY: '1' },
        after: { ID: '1', NAME: 'lamp', QTY: '2' },
        scn: '2013',
        txId: A,
        commit_scn: '2015',
        seq: 2,
        thread: 1,
      },
      {
        op: 'd',
        table: 'Q.ORD',
        before: { ID: '1', NAME: 'lamp', QTY: '2' },
        after: null,
        scn: '2014',
        txId: A,
        commit_scn: '2015',
        seq: 3,
        thread: 1,
      },
    ]);
    expect(h.position).toMatchObject({ read: 2015n, upTo: 2020n, mid: null });
    expect(h.position?.commits.get(1)).toEqual({ scn: 2015n, xids: [A] });
    expect(h.warnings).toEqual([]);
  });

  test('interleaved: in the order of their commits', async () => {
    const script = new RedoScript()
      .start(A)
      .start(B)
      .insert(A, 'Q.ORD', { ID: '1' })
      .insert(B, 'Q.ORD', { ID: '2' })
      .insert(A, 'Q.ITEM', { ID: '3' })
      .commit(B)
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 2', 'c Q.ORD 1', 'c Q.ITEM 3']);
  });

  test('rolled back as a whole', async () => {
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' }, { row: 1 })
      .insert(A, 'Q.ORD', { ID: '2' }, { row: 2 })
      .undo(A, 2, 'Q.ORD', { row: 2 })
      .undo(A, 2, 'Q.ORD', { row: 1 })
      .rollback(A)
      .start(B)
      .insert(B, 'Q.ORD', { ID: '9' })
      .commit(B);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 9']);
    expect(h.warnings).toEqual([]);
  });

  test('rolled back to a savepoint: the newest changes of a row, one for each undo', async () => {
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1', QTY: '1' }, { row: 1 })
      .update(A, 'Q.ORD', { QTY: '2' }, { ID: '1', QTY: '1' }, { row: 1 })
      .update(A, 'Q.ORD', { QTY: '3' }, { ID: '1', QTY: '2' }, { row: 1 })
      .update(A, 'Q.ORD', { QTY: '4' }, { ID: '1', QTY: '3' }, { row: 1 })
      .undo(A, 3, 'Q.ORD', { row: 1 })
      .undo(A, 3, 'Q.ORD', { row: 1 })
      .update(A, 'Q.ORD', { QTY: '5' }, { ID: '1', QTY: '2' }, { row: 1 })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events.map(({ after, seq }) => [after?.['QTY'], seq])).toEqual([
      ['1', 1],
      ['2', 2],
      ['5', 3],
    ]);
  });

  test('a statement that fails on a unique key is undone by itself', async () => {
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' }, { row: 1 })
      .insert(A, 'Q.ORD', { ID: '1' }, { row: 2 })
      .undo(A, 2, 'Q.ORD', { row: 2 })
      .insert(A, 'Q.ORD', { ID: '2' }, { row: 2 })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2']);
  });

  test('undo where a ROW_ID is that of rows of two tables, or is none', async () => {
    const none = { extra: { ROW_ID: 'AAAAAAAAAAAAAAAAAA' } };
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' }, { row: 1 })
      .insert(A, 'Q.ITEM', { ID: '2' }, { row: 1 })
      .insert(A, 'Q.ORD', { ID: '3' }, { row: 2 })
      .delete(A, 'Q.ORD', { ID: '4' }, { row: 3 })
      .undo(A, 2, 'Q.ORD', { row: 1 })
      .undo(A, 2, 'Q.ORD', none)
      .undo(A, 2, 'Q.ORD', none)
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ITEM 2', 'd Q.ORD 4']);
    expect(h.warnings).toEqual(['undo-not-matched']);
  });

  test('GoldenGate’s marker ends a transaction that never commits', async () => {
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' })
      .plain(A, 27)
      .start(B)
      .insert(B, 'Q.ORD', { ID: '2' })
      .commit(B);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 2']);
    expect(h.position?.scn).toBe(2016n);
  });

  test('begin and end of each transaction, where they are asked for', async () => {
    const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' }).commit(A).start(B).commit(B);
    const h = run(scripted(script), { transactionMetadata: true });
    await h.poll(2030n);
    expect(h.events.map(({ op }) => op)).toEqual(['begin', 'c', 'end']);
  });

  test('a transaction that does not fit in memory goes to disk, and comes back whole', async () => {
    const script = new RedoScript().start(A).start(B);
    const rows = 500;
    for (let i = 1; i <= rows; i++) {
      script.insert(A, 'Q.ORD', { ID: String(i), NAME: 'é'.repeat(i % 40) }, { row: i });
      script.insert(B, 'Q.ITEM', { ID: String(i) }, { row: i });
    }
    // Undo reaches what is on disk.
    for (let i = rows; i > 250; i--) script.undo(A, 2, 'Q.ORD', { row: i });
    script.commit(A).rollback(B);
    const h = run(scripted(script), {
      limits: { transactionBytes: 4_000, bufferBytes: 20_000, windowStart: 40n, windowLeast: 10n },
    });
    await h.poll(4000n);
    expect(h.events.map(({ after }) => after?.['ID'])).toEqual(
      Array.from({ length: 250 }, (_, i) => String(i + 1)),
    );
    expect(h.events[38]?.after?.['NAME']).toBe('é'.repeat(39));
  });

  test('a transaction without a START, and one that LogMiner knows by half', async () => {
    const half = `${A.slice(0, 8)}ffffffff`;
    const script = new RedoScript()
      .insert(B, 'Q.ORD', { ID: '1' })
      .commit(B)
      .insert(half, 'Q.ORD', { ID: '2' })
      .commit(A)
      .insert(C, 'Q.ORD', { ID: '3' }, { row: 1 })
      .insert(C, 'Q.ORD', { ID: '4' }, { row: 2 })
      .undo(`${C.slice(0, 8)}ffffffff`, 2, 'Q.ORD', { row: 2 })
      .commit(C);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2', 'c Q.ORD 3']);
    expect(h.warnings).toEqual(['incomplete-xid']);
  });

  test('a commit known by half is its slot’s: the transaction is delivered, under its whole name', async () => {
    const half = `${A.slice(0, 8)}ffffffff`;
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' })
      .insert(half, 'Q.ORD', { ID: '2' })
      .commit(half)
      .start(B)
      .insert(B, 'Q.ORD', { ID: '3' })
      .rollback(`${B.slice(0, 8)}ffffffff`)
      .commit(`${C.slice(0, 8)}ffffffff`);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events.map(({ txId, after }) => [txId, after?.['ID']])).toEqual([
      [A, '1'],
      [A, '2'],
    ]);
    expect(h.position?.scn).toBeGreaterThan(2015n);
    expect(h.position?.commits.get(1)?.xids).toEqual([A]);
    // LogMiner names what it mines from the beginning.
    await h.restart(0);
    h.server.redo = script.rows.map((row) => (row.XID === half ? { ...row, XID: A } : row));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2']);
  });

  test('another transaction has the slot of one whose end never came: kept, told of, and read again', async () => {
    const [one, two] = ['0001000100000001', '0001000100000002'];
    const script = new RedoScript()
      .start(one)
      .insert(one, 'Q.ORD', { ID: '1' })
      .start(two)
      .insert(two, 'Q.ORD', { ID: '2' })
      .rollback('00010001ffffffff')
      .rollback('00070007ffffffff')
      .start(two)
      .insert(two, 'Q.ORD', { ID: '3' })
      .commit(two);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 3']);
    expect(h.warnings).toEqual(['end-not-seen', 'incomplete-xid', 'rollback-unknown-transaction']);
    expect(h.position?.scn).toBe(2010n);
    await h.restart();
    h.server.redo = [...script.rows.slice(0, 2), { ...script.rows[1]!, SCN: '2013', OPERATION_CODE: 7 }];
    await h.poll(2031n);
    expect(short(h)).toEqual(['c Q.ORD 3']);
  });

  test('columns that supplemental logging leaves out', async () => {
    const script = new RedoScript()
      .update(A, 'Q.ORD', { QTY: '2' }, { ID: '1' })
      .delete(A, 'Q.ORD', { ID: '1' })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events.map(({ before, after }) => [before, after])).toEqual([
      [
        { ID: '1', NAME: '<absent>', QTY: '<absent>' },
        { ID: '1', NAME: '<unchanged>', QTY: '2' },
      ],
      [{ ID: '1', NAME: '<absent>', QTY: '<absent>' }, null],
    ]);
  });

  test.each([
    ['as-null' as const, ['u 2 null', 'd 2 <absent>', 'c 3 null']],
    ['fail' as const, ['unreadable u', 'unreadable d', 'c 3 null']],
  ])('columns that supplemental logging leaves out, %s', async (absentColumns, expected) => {
    const script = new RedoScript()
      .update(A, 'Q.ORD', { QTY: '2' }, { ID: '1' })
      .delete(A, 'Q.ORD', { ID: '1', QTY: '2' })
      .insert(A, 'Q.ORD', { ID: '3', QTY: '3' })
      .commit(A);
    const h = run(scripted(script), { absentColumns, onUnreadable: 'dead-letter' });
    await h.poll(2030n);
    expect(
      h.events.map(({ op, before, after }) =>
        op.startsWith('unreadable') ? op : `${op} ${(after ?? before)!['QTY']} ${(after ?? before)!['NAME']}`,
      ),
    ).toEqual(expected);
    if (absentColumns === 'as-null') return;
    const strict = new Harness(scripted(script), { absentColumns });
    await expect(strict.poll(2030n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      fix: expect.stringContaining('ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS') as string,
    });
    await strict.close();
  });

  test('a change without the key of its row is not told of anybody: it stops, or is a dead letter', async () => {
    const script = new RedoScript()
      .update(A, 'Q.ORD', { QTY: '2' }, { QTY: '1' })
      .update(A, 'Q.ORD', { ID: '2' }, { QTY: '1' })
      .delete(A, 'Q.ORD', {})
      .commit(A);
    await expect(run(scripted(script)).poll(2030n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      message: expect.stringMatching(
        /without the key of its row, at SCN 2011 \(transaction 0001000100000001, /,
      ) as string,
      fix: expect.stringContaining('ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS') as string,
    });
    expect(await harness.close()).toEqual([]);
    const h = run(scripted(script), { onUnreadable: 'dead-letter' });
    await h.poll(2030n);
    expect(h.events.map(({ op }) => op)).toEqual(['unreadable u', 'unreadable u', 'unreadable d']);
  });

  test('tables that are not captured, users’ own and the database’s', async () => {
    const script = new RedoScript()
      .insert(A, 'X.ORD', { ID: '1' })
      .insert(A, 'SYS.ORD', { ID: '2' })
      .insert(A, 'Q.ORD', { ID: '3' })
      .undo(A, 2, 'X.ORD')
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 3']);
  });
});

describe('long statements', () => {
  test.each([2, 20])('text in %d rows, cut between the two apostrophes of one', async (pieces) => {
    const name = `${"'".repeat(1977)}${'é😀'.repeat(1300 * (pieces - 1))}`;
    const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1', NAME: name }).commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events[0]?.after?.['NAME']).toBe(name);
  });

  test('the cursor ends inside of a row: the window is read again', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1' })
      .insert(A, 'Q.ORD', { ID: '2', NAME: 'x'.repeat(5000) })
      .commit(A);
    const server = scripted(script);
    const whole = server.redo;
    // As if LogMiner had not given the second half yet.
    server.redo = [whole[0]!, { ...whole[1]!, SQL_REDO: whole[1]!.SQL_REDO!.slice(0, 4000), CSF: 1 }];
    const h = new Harness(server, {}, undefined, async (use, signal) => {
      const session = await server.connect(use, signal);
      const open = session.open.bind(session);
      session.open = async (...statement) => {
        const cursor = await open(...statement);
        server.redo = whole;
        return cursor;
      };
      return session;
    });
    harness = h;
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2']);
    expect(h.events[1]?.after?.['NAME']).toBe('x'.repeat(5000));
  });

  test('a statement past the limit is refused', async () => {
    const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1', NAME: 'x'.repeat(9000) }).commit(A);
    const h = run(scripted(script), { limits: { statementBytes: 8_000 } });
    await expect(h.poll(2030n)).rejects.toThrow('longer than 8000 bytes');
  });
});

describe('restarts', () => {
  const busy = (): RedoScript => {
    const script = new RedoScript().start(A).insert(A, 'Q.ORD', { ID: '1' }).start(B);
    for (let i = 0; i < 6; i++)
      script.insert(B, 'Q.ITEM', { ID: String(10 + i) }).insert(A, 'Q.ORD', { ID: String(20 + i) });
    script.commit(B).start(C).insert(C, 'Q.ORD', { ID: '5' }).commit(A);
    return script.insert(C, 'Q.ORD', { ID: '6' }).commit(C);
  };
  const expected = async (): Promise<string[]> => {
    const whole = new Harness(scripted(busy()));
    await whole.poll(2060n);
    expect(await whole.close()).toEqual([]);
    return short(whole);
  };

  test('an open transaction at the restart: mining begins before its first change', async () => {
    const script = new RedoScript()
      .start(A)
      .insert(A, 'Q.ORD', { ID: '1' })
      .insert(A, 'Q.ORD', { ID: '2' }, { at: 2021 })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2015n);
    expect(h.position?.scn).toBe(2010n);
    await h.restart();
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2']);
  });

  test.each([3n, 7n, 1_000n])('windows of %d SCNs', async (size) => {
    const h = run(scripted(busy()), { limits: { windowStart: size, windowLeast: size, windowMost: size } });
    await h.poll(2060n);
    expect(short(h)).toEqual(await expected());
  });

  test('after each event, also inside of a transaction: nothing missing, nothing twice', async () => {
    const all = await expected();
    for (let acked = 0; acked <= all.length; acked++) {
      const h = new Harness(scripted(busy()), {
        limits: { batchChanges: 1, windowStart: 5n, windowLeast: 5n },
      });
      await h.poll(2060n);
      await h.restart(acked);
      expect(h.events.length).toBe(acked);
      await h.poll(2060n);
      expect(short(h)).toEqual(all);
      expect(await h.close()).toEqual([]);
    }
    run(serverWith(TABLES));
  });

  test('over a log switch, twice', async () => {
    const server = scripted(busy());
    const h = run(server, { limits: { batchChanges: 2, windowStart: 4n, windowLeast: 4n } });
    await h.poll(2013n);
    server.switchLog(1, 2014n);
    await h.restart();
    await h.poll(2018n);
    server.switchLog(1, 2019n);
    await h.restart();
    await h.poll(2060n);
    expect(short(h)).toEqual(await expected());
  });

  test('other settings within a transaction: it is delivered from its start', async () => {
    const h = run(scripted(busy()), { limits: { batchChanges: 1 } });
    await h.poll(2060n);
    await h.restart(2);
    expect(h.position?.mid).toMatchObject({ xid: B, done: 2 });
    const other = new Harness(h.server, { tables: ['Q.ORD', 'Q.ITEM'] }, h.position);
    await other.poll(2060n);
    expect(short(other).slice(0, 6)).toEqual((await expected()).slice(0, 6));
    expect(other.warnings).toEqual(['recounted']);
    expect(await other.close()).toEqual([]);
  });

  test('inside of a transaction the position lies before its beginning', async () => {
    const h = run(scripted(busy()), { limits: { batchChanges: 1 } });
    await h.poll(2060n);
    const inside = h.stored.filter(({ position }) => position.mid !== null);
    expect(inside.length).toBeGreaterThan(5);
    const begun = new Map(
      busy()
        .rows.filter((row) => row.OPERATION_CODE === 6)
        .map((row) => [row.XID, BigInt(row.SCN)]),
    );
    for (const { position } of inside) expect(position.scn).toBeLessThan(begun.get(position.mid!.xid)!);
  });

  test('a quiet database: the position moves on without a busy loop', async () => {
    const server = scripted(new RedoScript());
    const h = run(server, { limits: { idleMs: 20, settleMs: 0 } });
    await h.poll(2100n);
    const before = server.statements.length;
    await h.poll(2200n);
    expect(h.position).toMatchObject({ upTo: 2200n });
    expect(h.position!.read).toBeGreaterThanOrEqual(2100n);
    expect(server.statements.length - before).toBeLessThan(100);
  });
});

describe('RAC', () => {
  const two = (script: RedoScript): FakeOracle => {
    const server = scripted(script);
    server.threads.push({
      thread: 2,
      open: true,
      enabled: 'PUBLIC',
      checkpoint: 0n,
      enabledAt: 1n,
      disabledAt: 0n,
      last: null,
    });
    server.startLog(2, 5, 1000n);
    return server;
  };
  const equal = (): RedoScript =>
    new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1' }, { at: 2011 })
      .insert(B, 'Q.ORD', { ID: '2' }, { at: 2012, thread: 2 })
      .insert(C, 'Q.ORD', { ID: '3' }, { at: 2013 })
      .commit(A, { at: 2020 })
      .commit(B, { at: 2020, thread: 2 })
      .commit(C, { at: 2020 });

  test('two threads commit at one SCN: each once, wherever it is restarted', async () => {
    for (let acked = 0; acked <= 3; acked++) {
      const h = new Harness(two(equal()), { limits: { batchChanges: 1 } });
      await h.poll(2030n);
      await h.restart(acked);
      await h.poll(2030n);
      expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2', 'c Q.ORD 3']);
      expect(await h.close()).toEqual([]);
    }
    run(serverWith(TABLES));
  });

  test('nothing past what the slowest instance has flushed is read', async () => {
    const server = two(equal());
    server.threads[1]!.last = 2016n;
    const h = run(server);
    server.currentScn = 2030n;
    await h.poll(2015n);
    expect(h.events).toEqual([]);
    server.threads[1]!.last = null;
    await h.poll(2030n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2', 'c Q.ORD 3']);
  });

  test('a thread that is closed, opened again, and one that is added', async () => {
    const server = two(equal());
    const second = server.threads[1]!;
    const h = run(server, { limits: { settleMs: 0 } });
    await h.poll(2030n);
    // Closed: its log ends.
    server.currentScn = 2040n;
    server.logs.find((log) => log.thread === 2)!.next = 2035n;
    server.logs.find((log) => log.thread === 2)!.state = 'archived';
    Object.assign(second, { open: false, checkpoint: 2035n });
    await h.poll(2050n);
    await h.poll(2060n);
    // Opened again, much later.
    Object.assign(second, { open: true });
    server.startLog(2, 6, 2070n);
    server.redo.push(
      ...new RedoScript(2080)
        .insert(A, 'Q.ORD', { ID: '4' }, { thread: 2 })
        .commit(A, { thread: 2 })
        .rows.map((row) => ({ ...row, RS_ID: ` 0x9.${row.SCN} ` })),
    );
    await h.poll(2090n);
    server.threads.push({
      thread: 3,
      open: true,
      enabled: 'PUBLIC',
      checkpoint: 0n,
      enabledAt: 2095n,
      disabledAt: 0n,
      last: null,
    });
    server.startLog(3, 1, 2095n);
    server.redo.push(
      ...new RedoScript(2100)
        .insert(B, 'Q.ORD', { ID: '5' }, { thread: 3 })
        .commit(B, { thread: 3 })
        .rows.map((row) => ({ ...row, RS_ID: ` 0x8.${row.SCN} ` })),
    );
    await h.poll(2110n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 2', 'c Q.ORD 3', 'c Q.ORD 4', 'c Q.ORD 5']);
  });
});

test.each<[string, (h: Harness) => Promise<unknown>]>([
  ['over a restart', (h) => h.restart()],
  [
    'while it is read',
    () => {
      const now = performance.now.bind(performance);
      vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
      return Promise.resolve();
    },
  ],
])('the server’s summer time begins, %s: times stay right', async (_, meanwhile) => {
  const at = (time: string): { extra: { TIMESTAMP: string } } => ({ extra: { TIMESTAMP: time } });
  const script = new RedoScript()
    .insert(A, 'Q.ORD', { ID: '1' }, at('2024-03-31 01:59:59'))
    .commit(A, at('2024-03-31 01:59:59'))
    .insert(B, 'Q.ORD', { ID: '2' }, at('2024-03-31 03:00:01'))
    .commit(B, at('2024-03-31 03:00:01'));
  const server = scripted(script);
  server.clock = '+01:00';
  const h = run(server);
  const times: number[] = [];
  const take = h.take.bind(h);
  h.take = (batch) => {
    for (const change of batch.changes) times.push(change.at.timeMs);
    take(batch);
  };
  await h.poll(2012n);
  server.clock = '+02:00';
  await meanwhile(h);
  await h.poll(2030n);
  expect(times.map((ms) => new Date(ms).toISOString())).toEqual([
    '2024-03-31T00:59:59.000Z',
    '2024-03-31T01:00:01.000Z',
  ]);
});

test('a stored position of another incarnation is a gap', async () => {
  const server = scripted(new RedoScript());
  const h = run(server);
  await h.poll(2010n);
  await h.restart();
  server.resetlogs = '2005';
  await h.open();
  expect(h.opened?.continuity).toMatchObject({
    kind: 'gap',
    reason: expect.stringContaining('restored') as string,
  });
});

test('a position whose redo is gone is a gap', async () => {
  const server = scripted(new RedoScript());
  server.logs[0]!.first = 5000n;
  const h = run(server);
  await h.open();
  expect(h.opened?.continuity).toMatchObject({
    kind: 'gap',
    reason: expect.stringContaining('gone') as string,
  });
});
