import { expect, test } from 'vitest';
import { compare } from '../../scripts/goldens/compare.ts';
import { exactText, parseExact } from '../../scripts/goldens/exact-json.ts';
import { goldens, runGoldens } from '../support/goldens.ts';

test('the records are those of a recorded Debezium, but for its listed defects', async () => {
  const { records, expected, unexpected } = await runGoldens('postgres');
  expect(unexpected).toEqual([]);
  expect(records).toBeGreaterThan(250);
  // Each listed defect shows in the recording: a rule that applies to nothing has lost its reason to be.
  expect(expected.size).toBeGreaterThan(15);
});

test('the comparison finds a value that is wrong, missing, or of another schema', async () => {
  const recording = await goldens('postgres');
  const same = recording.withNulls.map((record, i) => ({
    ...record,
    value: recording.withDefaults[i]!.value,
  }));
  const table = same.findIndex(({ topic }) => topic.endsWith('.ri_full'));
  const at = same[table]!;
  const changed = parseExact(
    exactText(at).replace('"a":"one"', '"a":"two"').replaceAll('"int32"', '"int64"'),
  ) as unknown as typeof at;
  const paths = compare(recording, same.with(table, changed)).unexpected.map(({ path }) => path.join('.'));
  expect(paths).toContain('value.payload.after.a');
  expect(paths).toContain('value.schema.fields.after.fields.id.type');
  const missing = same.toSpliced(table, 1);
  expect(compare(recording, missing).unexpected.length).toBeGreaterThan(0);
});
