/**
 * Binary logs recorded from MySQL 9.7.4 and MariaDB 11.8.9, without checksums: test/fixtures/mysql/work.sql, on a server
 * with GTIDs, ROW, FULL images and metadata.
 */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { isRowsEvent } from '../../src/readers/mysql/binlog/rows.ts';
import { eventsOf, replay } from '../support/binlog-recording.ts';
import { plainRows } from '../support/mysql-reader.ts';

const FIXTURES = new URL('../fixtures/mysql/', import.meta.url);

describe.each([
  ['mysql', 'mysql-9.binlog'],
  ['mariadb', 'mariadb-11.8.binlog'],
] as const)('a recording of %s', (connector, name) => {
  test('gives each change with the columns of its own place', async () => {
    const changes = await replay(connector, eventsOf(await readFile(new URL(name, FIXTURES))));
    const first = {
      id: 1,
      a: 18_446_744_073_709_551_615n,
      n: '-123.456',
      v: 'añ🐘',
      l: 'é',
      d: 19_782,
      dt: 1_704_164_645_678_000,
      ts: 1_704_164_645_678_901,
      tm: -45_296_780_000,
      f: 3.14,
      e: 'b,c',
      s: 'x,y',
      b: Uint8Array.of(0b10101),
      bl: Buffer.from('abc'),
      j: '{"a": [1, 2.5, "x", null, true], "bb": {"c": "d"}}',
      y: 2024,
    };
    const rows = plainRows(changes);
    expect(rows).toMatchObject([
      { op: 'c', after: first },
      { op: 'c', after: { id: 2, v: null, e: null } },
      { op: 'c', after: { id: 3 } },
      { op: 'u', before: first, after: { id: 1, v: 'w'.repeat(280), j: '[]' } },
      { op: 'c', after: { id: 4, extra: 6 } },
      { op: 'd', before: { id: 2, extra: 5 } },
    ]);
    expect(changes.at(-1)).toMatchObject({
      kind: 'schema',
      table: null,
      ddl: expect.stringContaining('DROP') as string,
    });
    expect(changes.filter(({ kind }) => kind === 'truncate')).toHaveLength(1);
  });

  test('a transaction that the server died in, so that a new log follows its rows, has not happened', async () => {
    const { buffer, frames: all } = eventsOf(await readFile(new URL(name, FIXTURES)));
    const frames = Array.from(all);
    const isRows = (at: number, i: number): boolean => i % 2 === 0 && isRowsEvent(buffer[at + 4]!);
    const cut = frames.slice(0, frames.findIndex(isRows) + 2);
    const whole = plainRows(await replay(connector, { buffer, frames }));
    const both = plainRows(await replay(connector, { buffer, frames: [...cut, ...frames] }));
    expect(both).toEqual(whole);
  });

  test('cut off or damaged anywhere it is refused, never misread into another kind of error', async () => {
    const whole = await readFile(new URL(name, FIXTURES));
    const outcomes = { read: 0, refused: 0 };
    const attempt = async (file: Buffer): Promise<void> => {
      try {
        await replay(connector, eventsOf(file));
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof HeadwaterError) || error.code === 'internal.bug') throw error;
        outcomes.refused++;
      }
    };
    for (let length = 4; length < whole.length; length += 19) await attempt(whole.subarray(0, length));
    for (let at = 4; at < whole.length; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at] = damaged[at]! ^ (1 + ((at * 37) % 255));
      await attempt(damaged);
    }
    expect(outcomes.refused).toBeGreaterThan(100);
    expect(outcomes.read).toBeGreaterThan(100);
  });
});
