import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compare } from '../../scripts/goldens/compare.ts';
import { exactText, parseExact, show } from '../../scripts/goldens/exact-json.ts';
import { readRecording } from '../../scripts/goldens/recording.ts';
import { runFlow } from '../../scripts/goldens/run-flow.ts';
import { postgresSource } from '../../scripts/goldens/source.ts';
import { testDatabase } from '../support/servers.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/goldens/postgres');

/** What a real Debezium 3.2 emitted for the same SQL; `npm run goldens -- DIR` shows a difference in full. */
test('the records are those of a recorded Debezium, but for its listed defects', async () => {
  const recording = await readRecording(FOLDER);
  await using database = await testDatabase(15);
  await using source = await postgresSource(database.url);
  const ours = await runFlow({
    source,
    recording,
    profile: 'debezium',
    format: 'json-with-schema',
  });
  const { records, expected, unexpected } = compare(recording, ours);
  expect(
    unexpected.map(
      ({ topic, index, path, theirs, mine }) =>
        `${topic} #${index} ${path.join('.')}: ${show(theirs)} / ${show(mine)}`,
    ),
  ).toEqual([]);
  expect(records).toBeGreaterThan(250);
  // Each listed defect shows in the recording: a rule that applies to nothing has lost its reason to be.
  expect(expected.size).toBeGreaterThan(15);
});

test('the comparison finds a value that is wrong, missing, or of another schema', async () => {
  const recording = await readRecording(FOLDER);
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
