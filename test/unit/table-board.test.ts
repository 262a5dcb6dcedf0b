import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { TableTotals } from '../../src/emitter/table-routes.ts';
import type { TableId } from '../../src/model/table.ts';
import { TableBoard } from '../../src/pipeline/table-board.ts';

const id = (table: string): TableId => ({ schema: 's', table });

function totals(table: string): TableTotals {
  return { id: id(table), topic: `p.s.${table}`, version: 1, events: 2, lastEventAt: 0 };
}

test('a table that is made while the pipeline runs is on the board, one of an attempt before is not', () => {
  const emitted = [totals('captured'), totals('dropped')];
  const board = new TableBoard([{ id: id('captured'), estimatedRows: 5, limitation: null }], {
    topicOf: ({ table }) => `p.s.${table}`,
    progress: () => [],
    emitted: () => emitted,
    deadLetters: new Map(),
  });
  const shown = (): readonly string[] => board.status().map(({ table, state }) => `${table} ${state}`);
  expect(shown()).toEqual(['s.captured streaming']);
  emitted.push(totals('made'));
  board.quarantine(id('refused'), new HeadwaterError('settings.topic-taken', 'It is another’s.'));
  expect(shown()).toEqual(['s.captured streaming', 's.made streaming', 's.refused quarantined']);
  expect(board.status()[1]).toMatchObject({ topic: 'p.s.made', events: 2, estimatedRows: null });
  expect(board.quarantined).toEqual(['s.refused']);
});
