/** Open transactions: what undo takes of them, whose slot is whose, and which hold the position back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Log, SILENT } from '../../src/observability/log.ts';
import {
  DDL,
  DELETE,
  INSERT,
  LOB_WRITE,
  type RedoRow,
  redoRow,
  SELECT_LOB_LOCATOR,
  START,
  UPDATE,
} from '../../src/readers/oracle/mining/redo-row.ts';
import { TransactionBuffer } from '../../src/readers/oracle/transactions/transaction-buffer.ts';
import { UndoIndex } from '../../src/readers/oracle/transactions/undo-index.ts';
import { Warnings } from '../../src/readers/oracle/warnings.ts';
import { xid } from '../support/oracle/redo-script.ts';

const [T, U] = [1, 2];

function indexOf(
  ...items: readonly (readonly [code: number, row: string | null, table?: number])[]
): UndoIndex {
  const index = new UndoIndex();
  for (const [code, row, table = T] of items) index.push(table, row, code);
  return index;
}

const left = (index: UndoIndex): readonly number[] =>
  Array.from({ length: index.count }, (_, i) => i).filter((i) => !index.isUndone(i));

describe('undo', () => {
  test.each<[string, UndoIndex, code: number, row: string | null, undone: boolean, left: readonly number[]]>([
    ['an insert by a delete', indexOf([INSERT, 'a']), DELETE, 'a', true, []],
    ['an insert by an update: it is none of it', indexOf([INSERT, 'a']), UPDATE, 'a', false, [0]],
    ['a delete by an insert', indexOf([DELETE, 'a']), INSERT, 'a', true, []],
    ['a delete by a delete: it is none of it', indexOf([DELETE, 'a']), DELETE, 'a', false, [0]],
    [
      'a delete whose row has another ROWID by now',
      indexOf([DELETE, 'a'], [INSERT, 'b']),
      INSERT,
      'z',
      true,
      [1],
    ],
    [
      'an insert whose row has another ROWID by now',
      indexOf([INSERT, 'a'], [DELETE, 'b']),
      DELETE,
      'z',
      true,
      [1],
    ],
    [
      'an update whose row has another ROWID by now',
      indexOf([UPDATE, 'a'], [INSERT, 'b']),
      UPDATE,
      'z',
      true,
      [1],
    ],
    ['of another table', indexOf([INSERT, 'a', U]), DELETE, 'a', false, [0]],
    ['what empties the table', indexOf([DDL, 'a']), DELETE, 'a', false, [0]],
    ['an update without a ROWID by a delete', indexOf([UPDATE, null]), DELETE, null, false, [0]],
    ['an update without a ROWID by an update', indexOf([UPDATE, null]), UPDATE, null, true, []],
    [
      'a locator of DBMS_LOB by an update',
      indexOf([UPDATE, 'a'], [SELECT_LOB_LOCATOR, 'a']),
      UPDATE,
      'a',
      true,
      [0],
    ],
    [
      'a locator of DBMS_LOB by a delete',
      indexOf([UPDATE, 'b'], [SELECT_LOB_LOCATOR, 'a']),
      DELETE,
      'a',
      false,
      [0, 1],
    ],
    [
      'an operation on a LOB without an insert by a delete',
      indexOf([LOB_WRITE, 'a']),
      DELETE,
      'a',
      false,
      [0],
    ],
    [
      'a write behind an update, by a delete',
      indexOf([UPDATE, null], [SELECT_LOB_LOCATOR, null], [LOB_WRITE, 'a']),
      DELETE,
      'a',
      false,
      [0, 1, 2],
    ],
    [
      'a write behind an update, by an update',
      indexOf([UPDATE, null], [SELECT_LOB_LOCATOR, null], [LOB_WRITE, 'a']),
      UPDATE,
      'a',
      true,
      [],
    ],
  ])('%s', (_, index, code, row, undone, rest) => {
    expect(index.undo(T, row, code)).toBe(undone);
    expect(left(index)).toEqual(rest);
  });

  test('a statement ends with the last change of its table that has no ROWID, and no other', () => {
    expect(indexOf().endStatement(T, 'a')).toBe(false);
    expect(indexOf([INSERT, null]).endStatement(U, 'a')).toBe(false);
    expect(indexOf([DELETE, null]).endStatement(T, 'a')).toBe(false);
    expect(indexOf([INSERT, 'a']).endStatement(T, 'a')).toBe(true);
    expect(indexOf([INSERT, 'a']).endStatement(T, 'b')).toBe(false);
    for (const code of [INSERT, UPDATE, LOB_WRITE]) {
      const index = indexOf([code, null]);
      expect(index.endStatement(T, 'a')).toBe(true);
      expect(index.undo(T, 'a', code === INSERT ? DELETE : UPDATE)).toBe(true);
      expect(index.endStatement(T, 'a')).toBe(false);
    }
  });

  test('a locator that ends its statement is undone with what is before it', () => {
    const index = indexOf([INSERT, null], [SELECT_LOB_LOCATOR, null]);
    expect(index.endStatement(T, 'a')).toBe(true);
    expect(index.undo(T, 'a', DELETE)).toBe(true);
    expect(left(index)).toEqual([]);
  });
});

describe('the buffer', () => {
  const directory = mkdtempSync(join(tmpdir(), 'headwater-buffer-'));
  const REF = { number: 1, id: { schema: 'Q', table: 'T' } };
  const warnings: string[] = [];
  let buffer: TransactionBuffer | null = null;

  afterEach(async () => {
    await buffer?.close();
    rmSync(directory, { recursive: true, force: true });
    warnings.length = 0;
  });

  async function made(startPinMs = 60_000): Promise<TransactionBuffer> {
    const warn: Log['warn'] = (fields) => void warnings.push('kind' in fields ? String(fields.kind) : '?');
    return (buffer = await TransactionBuffer.create({
      directory: join(directory, 'open'),
      transactionBytes: 1e6,
      bufferBytes: 1e6,
      startPinMs,
      rereads: true,
      warnings: new Warnings({ ...SILENT, warn }),
    }));
  }

  const row = (scn: number, of: string, code: number, more: Partial<RedoRow> = {}): RedoRow => ({
    ...redoRow([
      String(scn),
      '1',
      `0x${scn}`,
      '0',
      of,
      String(code),
      ...Array.from<null>({ length: 12 }).fill(null),
    ]),
    ...more,
  });

  test('a START that is read again changes nothing', async () => {
    const open = await made();
    open.start(row(10, xid(1), START), 0);
    open.add(row(11, xid(1), INSERT), REF, 0);
    open.start(row(12, xid(1), START), 0);
    expect(open.take(xid(1))).toMatchObject({ since: 10n, count: 1 });
    expect(open.take(xid(1))).toBeUndefined();
  });

  test('a row without a ROWID is taken once, too', async () => {
    const open = await made();
    for (let i = 0; i < 2; i++) open.add(row(11, xid(1), INSERT), REF, 0);
    expect(open.take(xid(1))?.count).toBe(1);
  });

  test('one that has written nothing for long holds nothing back; another that has its slot takes its place', async () => {
    const open = await made(-1);
    open.start(row(10, xid(1), START), 0);
    expect(open.oldest()).toBeNull();
    open.add(row(11, xid(1), INSERT), REF, 0);
    expect(open.oldest()).toBe(10n);
    const next = `${xid(1).slice(0, 8)}00000009`;
    open.start(row(20, next, START), 0);
    expect(warnings).toEqual(['end-not-seen']);
    // What it had is kept, under its own name, and its end leaves the slot to the other one.
    expect(open.take(xid(1))?.count).toBe(1);
    expect(open.take(`${xid(1).slice(0, 8)}ffffffff`)?.xid).toBe(next);
  });

  test('one that has written nothing, and whose slot is another’s, is forgotten', async () => {
    const open = await made();
    open.start(row(10, xid(1), START), 0);
    open.start(row(20, `${xid(1).slice(0, 8)}00000009`, START), 0);
    expect(open.oldest()).toBe(20n);
    expect(open.has(xid(1))).toBe(false);
    expect(warnings).toEqual([]);
  });

  test('a statement’s end of a table that is not told is that of the last one', async () => {
    const open = await made();
    expect(open.endStatement(row(9, xid(1), 0, { rowId: 'a' }), null)).toBe(false);
    open.add(row(11, xid(1), INSERT), REF, 0);
    expect(open.endStatement(row(12, xid(1), 0, { rowId: 'a' }), null)).toBe(true);
  });
});
