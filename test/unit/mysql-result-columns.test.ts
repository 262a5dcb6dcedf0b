/** Definitions of a query's columns, as MySQL 9 and MariaDB 11.8 sent them. */
import { describe, expect, test } from 'vitest';
import { columnOfResult } from '../../src/readers/mysql/types/result-column.ts';
import { parseResultColumn } from '../../src/readers/mysql/wire/result-columns.ts';

function column(hex: string): ReturnType<typeof parseResultColumn> {
  const packet = Buffer.from(hex, 'hex');
  return parseResultColumn(packet, 0, packet.length);
}

describe('definitions of result columns', () => {
  test.each([
    // With MariaDB's own metadata of the type in between, which is empty.
    [
      '036465660006706f6c6c65640573616c65730473686f700473686f70000ce00028000000fd0110000000',
      'shop',
      'varchar',
      'utf8mb4',
    ],
    [
      '036465660006706f6c6c65640573616c65730473686f700473686f700ce00028000000fd0110000000',
      'shop',
      'varchar',
      'utf8mb4',
    ],
    [
      '036465660006706f6c6c65640005746f74616c05746f74616c000c3f0020000000f60000020000',
      'total',
      'decimal',
      null,
    ],
    ['036465660006706f6c6c65640573616c6573026174026174000c3f00170000000c8000030000', 'at', 'datetime', null],
  ])('%s', (hex, name, dataType, charset) => {
    expect(columnOfResult(column(hex))).toMatchObject({ name, dataType, charset });
  });

  test('digits of numbers and of seconds', () => {
    const total = column('036465660006706f6c6c65640005746f74616c05746f74616c000c3f0020000000f60000020000');
    expect(columnOfResult(total)).toMatchObject({ length: 30, scale: 2, nullable: true, unsigned: false });
    const at = column('036465660006706f6c6c65640573616c6573026174026174000c3f00170000000c8000030000');
    expect(columnOfResult(at)).toMatchObject({ fraction: 3 });
  });

  test('a packet that is cut, wherever, is the protocol’s error', () => {
    const whole = Buffer.from(
      '036465660006706f6c6c65640573616c65730473686f700473686f70000ce00028000000fd0110000000',
      'hex',
    );
    for (let end = 0; end < whole.length - 14; end++)
      expect(() => parseResultColumn(whole, 0, end)).toThrow('shorter than it says');
  });
});
