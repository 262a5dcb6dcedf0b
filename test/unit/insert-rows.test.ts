/** Rows that clients insert: the time of a record. */
import { describe, expect, it } from 'vitest';
import { insertedSource, JsonRows, valuesRow } from '../../src/enrichment/queries/insert-rows.ts';
import { parseScript } from '../../src/enrichment/sql/script.ts';
import { checkedProgram } from '../support/checked-program.ts';

const { catalog } = checkedProgram(
  `CREATE STREAM E (N INT) WITH (KAFKA_TOPIC = 'e', VALUE_FORMAT = 'JSON');`,
);
const stream = insertedSource(catalog, 'E', { source: { text: '', line: 1, column: 1 }, offset: 0 });

describe('ROWTIME of a row', () => {
  const values = (time: string): unknown => {
    const [parsed] = parseScript(`INSERT INTO E (ROWTIME, N) VALUES (${time}, 1);`, 'friendly');
    if (parsed?.statement.kind !== 'insertValues') throw new TypeError('It is an INSERT.');
    const { source } = parsed;
    return valuesRow(parsed.statement, stream, { source, dialect: 'friendly' });
  };
  const json = (time: unknown): unknown => new JsonRows(stream).read({ rowtime: time, n: 1 });

  it('is milliseconds since 1970, or that of now', () => {
    expect(values('17')).toEqual({ row: [1], timeMs: 17 });
    expect(values('NULL')).toEqual({ row: [1], timeMs: null });
    expect(json(17)).toEqual({ row: [1], timeMs: 17 });
    expect(json(null)).toEqual({ row: [1], timeMs: null });
  });

  // Whoever reads the topic would leave the record out.
  it.each(['-1', '9007199254740993'])('cannot be %s', (time) => {
    expect(() => values(time)).toThrow(/ROWTIME is milliseconds since 1970$/);
  });

  it.each([-1, 1.5, 9_007_199_254_740_993n, '17', true])('cannot be %s in JSON', (time) => {
    expect(() => json(time)).toThrow('ROWTIME is milliseconds since 1970.');
  });
});
