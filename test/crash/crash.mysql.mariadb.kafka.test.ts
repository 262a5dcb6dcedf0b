import { describe, it } from 'vitest';
import { SEED, survivesKills } from './kills.ts';
import { mariadbSource, mysqlSource } from './source.ts';

const KILLS = process.env['HEADWATER_TEST_FULL'] === '1' ? 40 : 8;

describe.each([
  ['MySQL', mysqlSource],
  ['MariaDB', mariadbSource],
] as const)('%s: kill -9, broker and database restarts', (_, start) => {
  it(`leaves no gap and no duplicate after ${KILLS} kills (seed ${SEED})`, async () => {
    await using source = await start();
    await survivesKills({
      source,
      kills: KILLS,
      failpoints: [
        'before-commit:1',
        'after-commit:2',
        'before-commit:3',
        'before-end-transaction:2',
        'after-confirm:4',
        'after-commit:1',
      ],
      positionKept: 2,
    });
  });
});
