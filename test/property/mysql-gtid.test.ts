import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { containsAll, containsGtid, parseGtidSet } from '../../src/readers/mysql/gtid/gtid-set.ts';
import { MariadbGtidSet } from '../../src/readers/mysql/gtid/mariadb-gtid-set.ts';
import { GrowingMysqlGtidSet, MysqlGtidSet } from '../../src/readers/mysql/gtid/mysql-gtid-set.ts';
import { MYSQL_POSITIONS } from '../../src/readers/mysql/position.ts';

const UUIDS = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '3e11fa47-71ca-11e1-9e33-c80aa9429563'];
const SOURCES = [...UUIDS, `${UUIDS[0]}:blue`, `${UUIDS[0]}:green_2`];
type Member = readonly [string, number];

const members = fc.array(fc.tuple(fc.constantFrom(...SOURCES), fc.integer({ min: 1, max: 60 })), {
  maxLength: 80,
});

function grown(list: readonly Member[]): MysqlGtidSet {
  const set = new GrowingMysqlGtidSet(MysqlGtidSet.EMPTY);
  for (const [source, number] of list) set.add(source, number);
  return set.freeze();
}

function key([source, number]: Member): string {
  return `${source}:${number}`;
}

describe('GTID sets of MySQL', () => {
  test('hold what was added, in whatever order, and read back from text and bytes', () => {
    fc.assert(
      fc.property(members, (list) => {
        const set = grown(list);
        const model = new Set(list.map(key));
        for (const source of SOURCES) {
          for (let n = 1; n <= 61; n++) expect(set.has(source, n)).toBe(model.has(key([source, n])));
        }
        const text = set.toString();
        expect(MysqlGtidSet.parse(text)!.toString()).toBe(text);
        expect(MysqlGtidSet.decode(set.encode())!.toString()).toBe(text);
        // As the server prints it: tags behind their uuid, line by line.
        expect(MysqlGtidSet.parse(text.replaceAll(',', ',\n').toUpperCase())!.toString()).toBe(text);
      }),
    );
  });

  test('contain and subtract as sets do', () => {
    fc.assert(
      fc.property(members, members, (one, other) => {
        const [a, b] = [grown(one), grown(other)];
        const [modelA, modelB] = [new Set(one.map(key)), new Set(other.map(key))];
        expect(a.contains(b)).toBe([...modelB].every((member) => modelA.has(member)));
        expect(a.minus(b).toString()).toBe(
          grown(one.filter((member) => !modelB.has(key(member)))).toString(),
        );
      }),
    );
  });

  test('what grows does not change what was taken before', () => {
    const set = new GrowingMysqlGtidSet(MysqlGtidSet.EMPTY);
    set.add(UUIDS[0]!, 1);
    const before = set.freeze();
    set.add(UUIDS[0]!, 2);
    expect([String(before), String(set.freeze())]).toEqual([`${UUIDS[0]}:1`, `${UUIDS[0]}:1-2`]);
  });

  test.each([
    'x',
    '3e11fa47',
    `${UUIDS[0]}`,
    `${UUIDS[0]}:0`,
    `${UUIDS[0]}:5-4`,
    `${UUIDS[0]}:1-2-3`,
    `${UUIDS[0]}:Ü:1`,
  ])('no set: %s', (text) => {
    expect(MysqlGtidSet.parse(text)).toBeNull();
  });

  test('bytes that are none never hang or read beyond their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        MysqlGtidSet.decode(Buffer.from(bytes));
      }),
    );
  });
});

describe('positions', () => {
  const place = { file: 'binlog.000007', pos: 4, mid: null, prepared: null };
  const at = (gtids: string, flavour: 'mysql' | 'mariadb' = 'mysql') => ({
    ...place,
    gtids: parseGtidSet(gtids, flavour),
  });

  test('read back as they were written', () => {
    for (const position of [
      at(''),
      at(`${UUIDS[0]}:1-5:9`),
      at('', 'mariadb'),
      at('0-1-5,7-2-9', 'mariadb'),
      { ...place, gtids: null },
      {
        ...at(`${UUIDS[0]}:1-5:7`),
        prepared: { ...at(`${UUIDS[0]}:1-3:5:7`), xids: ["x'61',x'',1", "x'62',x'63',2"] },
      },
      { ...at('0-1-5', 'mariadb'), prepared: { ...at('', 'mariadb'), xids: [] } },
      { ...place, gtids: null, prepared: { gtids: null, file: 'binlog.000006', pos: 157, xids: ['x'] } },
      { ...at(`${UUIDS[0]}:1-5`), mid: { tx: `${UUIDS[0]}:6`, events: 3, rows: 1, tables: null } },
      {
        ...at(`${UUIDS[0]}:1-5`),
        mid: {
          tx: `${UUIDS[0]}:6`,
          events: 3,
          rows: 1,
          tables: [{ id: { schema: 'a.b', table: 'c' }, changes: 9 }],
        },
      },
    ]) {
      const read = MYSQL_POSITIONS.decode(MYSQL_POSITIONS.encode(position));
      expect(MYSQL_POSITIONS.encode(read)).toEqual(MYSQL_POSITIONS.encode(position));
      expect(read.gtids?.constructor).toBe(position.gtids?.constructor);
      expect(MYSQL_POSITIONS.compare(read, position)).toBe(0);
    }
  });

  test('are ordered by GTIDs, by file and offset without, and not at all where servers diverged', () => {
    const compare = MYSQL_POSITIONS.compare.bind(MYSQL_POSITIONS);
    expect(compare(at(`${UUIDS[0]}:1-5`), at(`${UUIDS[0]}:1-6`))).toBeLessThan(0);
    expect(compare(at(`${UUIDS[0]}:1-5,${UUIDS[1]}:1`), at(`${UUIDS[0]}:1-5`))).toBeGreaterThan(0);
    expect(compare(at(`${UUIDS[0]}:1-5`), at(`${UUIDS[1]}:1`))).toBeNull();
    expect(compare(at('0-1-5', 'mariadb'), at('0-1-6,1-1-1', 'mariadb'))).toBeLessThan(0);
    expect(compare(at('0-1-7', 'mariadb'), at('0-1-6,1-1-1', 'mariadb'))).toBeNull();
    const mid = { tx: `${UUIDS[0]}:6`, events: 3, rows: 0, tables: null };
    expect(compare({ ...at(`${UUIDS[0]}:1-5`), mid }, at(`${UUIDS[0]}:1-5`))).toBeGreaterThan(0);
    const file = (name: string, pos: number) => ({ gtids: null, file: name, pos, mid: null, prepared: null });
    expect(compare(file('binlog.999999', 4), file('binlog.1000000', 4))).toBeLessThan(0);
    expect(compare(file('binlog.000001', 900), file('binlog.000001', 4))).toBeGreaterThan(0);
    expect(compare(file('a.000001', 4), file('b.000001', 4))).toBeNull();
  });

  test.each([
    null,
    {},
    { file: 'a/b.1', pos: 4 },
    { file: 'b.1', pos: -1 },
    { file: 'b.1', pos: 4, gtid: 'x' },
    { file: 'b.1', pos: 4, mid: { tx: 1 } },
    { file: 'b.1', pos: 4, mid: { tx: '0-1-2', events: 1, rows: 1, tables: [['a', 'b']] } },
  ])('none: %j', (json) => {
    expect(() => MYSQL_POSITIONS.decode(json)).toThrow(
      expect.objectContaining({ code: 'state.position-invalid' }),
    );
  });

  test('a transaction id is looked up in sets of its own kind only', () => {
    const mysql = parseGtidSet(`${UUIDS[0]}:1-5,${UUIDS[0]}:blue:1-2`, 'mysql')!;
    const mariadb = parseGtidSet('0-1-5', 'mariadb')!;
    expect(containsGtid(mysql, `${UUIDS[0]}:5`)).toBe(true);
    expect(containsGtid(mysql, `${UUIDS[0]}:6`)).toBe(false);
    expect(containsGtid(mysql, `${UUIDS[0]}:blue:2`)).toBe(true);
    expect(containsGtid(mysql, '0-1-5')).toBe(false);
    expect(containsGtid(mariadb, '0-2-5')).toBe(true);
    expect(containsGtid(mariadb, '1-1-1')).toBe(false);
    expect(containsGtid(mysql, 'file=binlog.000001,pos=4')).toBe(false);
    expect(containsAll(mysql, MariadbGtidSet.EMPTY)).toBe(false);
  });
});
