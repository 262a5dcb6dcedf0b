/** `npm run bench -- oracle-parser`: statements of SQL_REDO per CPU second, parsed alone and made into rows. */
import { parseRedo } from '../src/readers/oracle/redo/parse-redo.ts';
import { rowImages } from '../src/readers/oracle/redo/row-images.ts';
import { tableModel } from '../src/readers/oracle/table-model.ts';
import { textDecoder } from '../src/readers/oracle/types/character-sets.ts';
import { parseDataType } from '../src/readers/oracle/types/column-metadata.ts';
import { median } from './report.ts';
import { printTable } from './table.ts';

const COLUMNS = {
  ID: 'NUMBER(18,0)',
  CUSTOMER: 'NUMBER(9,0)',
  STATUS: 'VARCHAR2(20)',
  NOTE: 'VARCHAR2(200)',
  TOTAL: 'NUMBER(12,2)',
  PLACED: 'DATE',
  CHANGED: 'TIMESTAMP(6)',
};
/** Different texts, so that no cache of one statement's parts flatters the figure. */
const DISTINCT = 20_000;

export function benchOracleParser({
  statements,
  repeat,
}: {
  readonly statements: number;
  readonly repeat: number;
}): void {
  const columns = Object.entries(COLUMNS).map(([name, text]) => {
    const type = parseDataType(text);
    if (type === null) throw new Error(`${text} is no data type`);
    return { name, ...type, nullable: true, default: null };
  });
  const version = {
    version: 1,
    from: 0n,
    objectId: null,
    dataObjectIds: [],
    key: ['ID'],
    approximate: false,
  };
  const model = tableModel(
    { schema: 'SHOP', table: 'ORDERS' },
    { ...version, columns },
    { text: textDecoder('AL32UTF8'), onForeignDate: () => undefined },
  );
  const rows: (string | number)[][] = [];
  for (const [name, print] of Object.entries(KINDS)) {
    const texts = Array.from({ length: DISTINCT }, (_, i) => print(i));
    const characters = Math.round(texts.reduce((sum, text) => sum + text.length, 0) / DISTINCT);
    const parsed = rate(statements, repeat, (i) => {
      const { names: set, whereNames } = parseRedo(texts[i % DISTINCT]!);
      return set.length + whereNames.length;
    });
    const imaged = rate(statements, repeat, (i) => {
      const { before, after } = rowImages(parseRedo(texts[i % DISTINCT]!), model);
      return (before?.length ?? 0) + (after?.length ?? 0);
    });
    rows.push([name, characters, Math.round(parsed), Math.round(imaged)]);
  }
  printTable(['statement', 'characters', 'parsed a CPU second', 'parsed and decoded a CPU second'], rows);
}

const values = (i: number): readonly string[] => [
  `'${1_000_000 + i}'`,
  `'${i % 7919}'`,
  `'${i % 3 === 0 ? 'shipped' : 'open'}'`,
  i % 5 === 0 ? `'it''s the customer''s ${i}th'` : `'left at the door, ring twice (${i})'`,
  `'${i % 997}.${10 + (i % 90)}'`,
  `TO_DATE('2024-03-09 14:05:${10 + (i % 50)}', 'YYYY-MM-DD HH24:MI:SS')`,
  `TO_TIMESTAMP('2024-03-09 14:05:06.${100_000 + i}')`,
];
const names = Object.keys(COLUMNS);
const where = (i: number): string =>
  values(i)
    .map((value, c) => `"${names[c]!}" = ${value}`)
    .join(' and ');

const KINDS: Readonly<Record<string, (i: number) => string>> = {
  insert: (i) =>
    `insert into "SHOP"."ORDERS"(${names.map((n) => `"${n}"`).join(',')}) values (${values(i).join(',')});`,
  'update, all columns': (i) =>
    `update "SHOP"."ORDERS" set "STATUS" = 'paid', "TOTAL" = '${i}.25' where ${where(i)};`,
  'update, key only': (i) => `update "SHOP"."ORDERS" set "STATUS" = 'paid' where "ID" = '${i}';`,
  delete: (i) => `delete from "SHOP"."ORDERS" where ${where(i)};`,
};

function rate(statements: number, repeat: number, run: (i: number) => number): number {
  const runs = Array.from({ length: repeat + 1 }, () => {
    let sum = 0;
    const before = process.cpuUsage();
    for (let i = 0; i < statements; i++) sum += run(i);
    const { user, system } = process.cpuUsage(before);
    if (sum === 0) throw new Error('nothing was read');
    return (statements / (user + system)) * 1e6;
  });
  runs.shift(); // the compiler's
  return median(runs);
}
