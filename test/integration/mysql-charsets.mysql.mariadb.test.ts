/** Every character set of the servers: what we make of bytes against what the server itself makes of them. */
import { expect, test } from 'vitest';
import { charsetOfCollation } from '../../src/readers/mysql/types/collations.ts';
import { decoderOf } from '../../src/readers/mysql/types/charsets.ts';
import { testMariadb, testMysql } from '../support/servers.ts';

const SERVERS = [
  { product: 'MySQL', open: () => testMysql('9') },
  { product: 'MariaDB', open: () => testMariadb('11.8') },
] as const;

type Query = (sql: string) => Promise<Record<string, unknown>[]>;

test.each(SERVERS)(
  '$product converts all bytes of all character sets as we do',
  async ({ open }) => {
    await using database = await open();
    const query: Query = (sql) => database.query(sql);
    const charsets = await query(
      `SELECT CHARACTER_SET_NAME AS name, MAXLEN AS width FROM information_schema.CHARACTER_SETS
     WHERE CHARACTER_SET_NAME <> 'binary'`,
    );
    expect(charsets.length).toBeGreaterThan(38);
    const wrong: string[] = [];
    let compared = 0;
    for (const charset of charsets) {
      const name = String(charset['name']);
      const decode = decoderOf(name);
      for (const bytes of samples(name, Number(charset['width']))) {
        const texts = await converted(query, name, bytes);
        bytes.forEach((sample, i) => {
          const theirs = texts[i]!;
          // What the character set lacks is NULL, empty or a question mark; it cannot be stored.
          if (theirs === '' || (theirs.includes('?') && !sample.includes(63))) return;
          compared++;
          const ours = decode(sample, 0, sample.length);
          if (ours !== theirs) wrong.push(`${name} ${sample.toString('hex')}: ${ours} is ${theirs}`);
        });
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(100_000);
  },
  120_000,
);

/** All characters of one and two bytes; of longer ones the blocks that differ between standards, and some. */
function* samples(name: string, width: number): Generator<readonly Buffer[]> {
  if (/^utf|^ucs/.test(name)) {
    const text = ['a', 'é', 'ž', '漢', '\u2028', ...(width === 4 ? ['😀', '𠮷'] : [])];
    yield text.map((character) => encodeUnicode(name, character));
    return;
  }
  yield Array.from({ length: 256 }, (_, byte) => Buffer.of(byte));
  if (width === 1) return;
  for (let lead = 0x81; lead < 0xff; lead++) {
    yield Array.from({ length: 0xc0 }, (_, i) => Buffer.of(lead, 0x40 + i));
  }
  if (name === 'ujis' || name === 'eucjpms') {
    for (let row = 0xa1; row < 0xff; row++) {
      yield Array.from({ length: 94 }, (_, i) => Buffer.of(0x8f, row, 0xa1 + i));
    }
  }
  if (name === 'gb18030') {
    for (let third = 0x81; third < 0xff; third += 7) {
      yield Array.from({ length: 10 }, (_, i) => Buffer.of(0x81, 0x30 + i, third, 0x30 + i));
      yield Array.from({ length: 10 }, (_, i) => Buffer.of(0x90 + i, 0x30, third, 0x31));
    }
  }
}

function encodeUnicode(name: string, character: string): Buffer {
  const units = Buffer.from(character, 'utf16le');
  if (name === 'utf16le') return units;
  if (name === 'ucs2' || name === 'utf16') return units.swap16();
  if (name !== 'utf32') return Buffer.from(character, 'utf8');
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(character.codePointAt(0)!);
  return bytes;
}

async function converted(query: Query, name: string, bytes: readonly Buffer[]): Promise<readonly string[]> {
  const list = bytes.map(
    (sample, i) => `HEX(CONVERT(CONVERT(X'${sample.toString('hex')}' USING ${name}) USING utf8mb4)) AS c${i}`,
  );
  const [row] = await query(`SELECT ${list.join(', ')}`);
  return bytes.map((_, i) => {
    const hex = row?.[`c${i}`];
    return typeof hex === 'string' ? Buffer.from(hex, 'hex').toString('utf8') : '';
  });
}

test.each(SERVERS)('$product has no collation that we do not know', async ({ open }) => {
  await using database = await open();
  const rows = await database.query<{ id: number | null; charset: string }>(
    `SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS
     WHERE CHARACTER_SET_NAME IS NOT NULL`,
  );
  expect(rows.length).toBeGreaterThan(200);
  const wrong = rows.filter(({ id, charset }) => charsetOfCollation(Number(id)) !== charset);
  expect(wrong).toEqual([]);
});
