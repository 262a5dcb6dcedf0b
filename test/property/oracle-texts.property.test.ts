/** What the redo log holds besides statements, hostile: texts of LOB operations, DDL, bytes in internal encodings. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { parseDdl } from '../../src/readers/oracle/ddl.ts';
import {
  lobLocator,
  lobTrim,
  lobWrite,
  longStringPiece,
  longStringTarget,
  xmlPiece,
  xmlTarget,
} from '../../src/readers/oracle/redo/lob-texts.ts';
import { UnreadableValue } from '../../src/readers/oracle/types/unreadable-value.ts';
import { modelOf } from '../support/oracle/table-models.ts';

const READERS = { lobLocator, lobTrim, lobWrite, longStringPiece, longStringTarget, xmlPiece, xmlTarget };

/** Whatever is thrown is one of the two that make a change unreadable. */
function refusedOrRead(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error instanceof HeadwaterError || error instanceof UnreadableValue, String(error)).toBe(true);
    if (error instanceof HeadwaterError) expect(error.code).toBe('source.redo-unreadable');
  }
}

const pieces = fc.array(
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom(
      `DECLARE loc_c CLOB; BEGIN\n select "C" into loc_c from "S"."T" where "ID" = '2' for update;`,
      ` buf_c := 'text';\n  dbms_lob.write(loc_c, 4, 1, buf_c);\n`,
      ` buf_b := HEXTORAW('0a');\n dbms_lob.write(loc_b, 1, 1, buf_b);`,
      ' dbms_lob.trim(loc_c, 8);',
      `XML DOC BEGIN:  select "C" from "S"."T" where "ID" = '1'`,
      `update "S"."T" a set a."C" = XMLType(:1)  where a."ID" = '1';`,
      `XML_REDO := HEXTORAW('0a'):1`,
      `DECLARE Stmt := 'update "S"."T" set "C" = :C where "ID" = ''1''';`,
      "'",
      "''",
      '"',
      ';',
      '(',
      ' for update',
      'HEXTORAW(',
      '999999999999999',
      ':',
    ),
  ),
  { maxLength: 8 },
);

test('any text of an operation on a LOB is read or refused', () => {
  fc.assert(
    fc.property(pieces, fc.nat(200), (parts, cut) => {
      const text = parts.join('');
      for (const read of Object.values(READERS)) {
        refusedOrRead(() => read(text));
        refusedOrRead(() => read(text.slice(0, Math.max(0, text.length - cut))));
      }
    }),
    { numRuns: 1_000 },
  );
});

test('megabytes of what their forms are made of take a time that grows with their length alone', () => {
  const size = 512 * 1024;
  for (const part of [
    ' select "C" into ',
    'dbms_lob.write(',
    'dbms_lob.trim( ',
    "'",
    ' ',
    '";',
    'a :=',
    ' from ',
  ]) {
    for (const head of [
      '',
      ' buf_c := ',
      ' select "C" into ',
      'XML_REDO := ',
      "Stmt := '",
      'dbms_lob.trim(',
    ]) {
      const text = head + part.repeat(size / part.length);
      for (const read of Object.values(READERS)) refusedOrRead(() => read(text));
    }
  }
});

test('any DDL is told to be something, or to be looked up in the catalogue', () => {
  const words = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom('ALTER', 'TABLE', 'S.T', '"T"', 'ADD', 'MODIFY', 'DROP', 'COLUMN', 'RENAME', 'TO', '('),
      fc.constantFrom(
        ')',
        ',',
        'NUMBER',
        'DEFAULT',
        'NOT',
        'NULL',
        "'",
        '/*',
        '--',
        'SET',
        'UNUSED',
        'TRUNCATE',
      ),
    ),
    { maxLength: 20 },
  );
  const kinds = new Set(['truncate', 'drop', 'ignore', 'rename', 'columns', 'reread']);
  fc.assert(
    fc.property(words, (parts) => {
      expect(kinds.has(parseDdl(parts.join(' ')).kind)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test('any bytes in an internal encoding are a value or refused', () => {
  const types = {
    A: 'NUMBER',
    B: 'NUMBER(9)',
    C: 'NUMBER(9,2)',
    D: 'DATE',
    E: 'TIMESTAMP(9)',
    F: 'TIMESTAMP(6) WITH TIME ZONE',
    G: 'TIMESTAMP(6) WITH LOCAL TIME ZONE',
    H: 'INTERVAL YEAR TO MONTH',
    I: 'INTERVAL DAY TO SECOND',
    J: 'BINARY_FLOAT',
    K: 'BINARY_DOUBLE',
    L: 'VARCHAR2(40)',
    M: 'NVARCHAR2(40)',
    N: 'RAW(40)',
    O: 'BOOLEAN',
  };
  const { decoders } = modelOf(types);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      const argument = Buffer.from(bytes).toString('hex');
      for (const decoder of decoders) {
        refusedOrRead(() => decoder.fromRedo({ kind: 'call', name: 'HEXTORAW', argument }));
      }
    }),
    { numRuns: 1_000 },
  );
});
