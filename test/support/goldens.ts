/** What a real Debezium emitted for test/fixtures/goldens/<product>/*.sql, against what Headwater emits for it. */
import { join } from 'node:path';
import { compare } from '../../scripts/goldens/compare.ts';
import { show } from '../../scripts/goldens/exact-json.ts';
import { readRecording, type Recording } from '../../scripts/goldens/recording.ts';
import { runFlow } from '../../scripts/goldens/run-flow.ts';
import { emptySource, type GoldenProduct } from '../../scripts/goldens/source.ts';

export interface GoldenVerdict {
  readonly records: number;
  /** One line each; empty where all is well. */
  readonly unexpected: readonly string[];
  /** Listed defects of Debezium that show. */
  readonly expected: ReadonlySet<string>;
}

export function goldens(product: GoldenProduct): Promise<Recording> {
  return readRecording(join(import.meta.dirname, '../fixtures/goldens', product));
}

/** `npm run goldens -- DIR` shows a difference in full. */
export async function runGoldens(product: GoldenProduct): Promise<GoldenVerdict> {
  const recording = await goldens(product);
  await using source = await emptySource(product);
  const ours = await runFlow({ source, recording, profile: 'debezium', format: 'json-with-schema' });
  const { records, expected, unexpected } = compare(recording, ours);
  return {
    records,
    expected: new Set(expected.keys()),
    unexpected: unexpected.map(
      ({ topic, index, path, theirs, mine }) =>
        `${topic} #${index} ${path.join('.')}: ${show(theirs)} / ${show(mine)}`,
    ),
  };
}
