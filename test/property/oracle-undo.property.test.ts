/** Statements of any shapes, some of them undone, against a list of what is left. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UndoIndex } from '../../src/readers/oracle/transactions/undo-index.ts';

const [INSERT, DELETE, UPDATE, LOCATOR, WRITE, XML_BEGIN, XML_END, STRING] = [1, 2, 3, 9, 10, 68, 71, 92];
type Item = readonly [code: number, rowId: string | null];

const rowId = (row: number): string => `AAAR0oAABAAAAABAA${'ABCDEFGH'[row]!}`;

/** Groups of operations without a ROWID: LOBs and long strings in any order, XML behind them. */
const parts = fc
  .tuple(
    fc.array(fc.constantFrom([LOCATOR, WRITE], [LOCATOR, WRITE, WRITE], [STRING]), { maxLength: 2 }),
    fc.array(fc.constant([XML_BEGIN, 70, XML_END]), { maxLength: 1 }),
  )
  .map(([lobs, xml]) => [...lobs, ...xml].flat());

interface Statement {
  readonly table: number;
  readonly row: number;
  readonly items: readonly Item[];
  /** Operation code 0 tells of its end. */
  readonly told: boolean;
  readonly undo: number;
}

const statement: fc.Arbitrary<Statement> = fc
  .record({
    table: fc.integer({ min: 1, max: 2 }),
    row: fc.integer({ min: 0, max: 3 }),
    kind: fc.constantFrom('insert', 'update', 'delete', 'dbms'),
    parts,
    /** Other columns than LOBs. */
    plain: fc.boolean(),
    /** Something that is held in the row itself. */
    inline: fc.boolean(),
    ownRow: fc.boolean(),
  })
  .map(({ table, row, kind, parts: groups, plain, inline, ownRow }) => {
    const id = rowId(row);
    const common = { table, row };
    if (kind === 'delete') return { ...common, items: [[DELETE, id]], told: false, undo: INSERT };
    if (kind === 'dbms') {
      const items: Item[] = [
        [LOCATOR, id],
        [WRITE, ownRow ? id : null],
        [WRITE, null],
      ];
      return { ...common, items, told: true, undo: UPDATE };
    }
    const code = kind === 'insert' ? INSERT : UPDATE;
    const undo = kind === 'insert' ? DELETE : UPDATE;
    const open = groups.map((part): Item => [part, null]);
    if (open.length === 0 && !inline) return { ...common, items: [[code, id]], told: false, undo };
    const head: Item[] = kind === 'insert' || plain ? [[code, null]] : [];
    if (inline) return { ...common, items: [...head, ...open, [UPDATE, id]], told: false, undo };
    return { ...common, items: [...head, ...open], told: true, undo };
  });

test('undo takes whole statements, newest first, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(statement, fc.nat({ max: 3 })), { maxLength: 40 }), (steps) => {
      const index = new UndoIndex();
      const stack: { readonly statement: Statement; readonly first: number }[] = [];
      for (const step of steps) {
        if (typeof step === 'number') {
          for (const { statement: last } of stack.splice(Math.max(0, stack.length - step)).toReversed())
            expect(index.undo(last.table, rowId(last.row), last.undo)).toBe(true);
          continue;
        }
        stack.push({ statement: step, first: index.count });
        for (const [code, row] of step.items) index.push(step.table, row, code);
        if (step.told) index.endStatement(step.table, rowId(step.row));
      }
      const left = new Set(
        stack.flatMap(({ statement: { items }, first }) => items.map((_, i) => first + i)),
      );
      for (let i = 0; i < index.count; i++) expect(index.isUndone(i)).toBe(!left.has(i));
    }),
    { numRuns: 2_000 },
  );
});
