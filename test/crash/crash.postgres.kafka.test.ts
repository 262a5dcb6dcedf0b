import { describe, it } from 'vitest';
import { SEED, survivesKills } from './kills.ts';
import { postgresSource } from './source.ts';

const KILLS = process.env['HEADWATER_TEST_FULL'] === '1' ? 60 : 12;

describe('PostgreSQL: kill -9, broker and database restarts', () => {
  it(`leaves no gap and no duplicate after ${KILLS} kills (seed ${SEED})`, async () => {
    await using source = await postgresSource();
    await survivesKills({
      source,
      kills: KILLS,
      failpoints: [
        'intent-recorded',
        'slot-created',
        'before-commit:1',
        'after-commit:2',
        'before-commit:3',
        'before-end-transaction:2',
        'after-confirm:4',
        'before-end-transaction:1',
        'after-commit:1',
      ],
      positionKept: 3,
    });
  });
});
