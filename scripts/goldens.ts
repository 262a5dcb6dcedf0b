/**
 * `npm run goldens -- DIR`: runs the SQL of a folder of Debezium's recordings through Headwater and compares.
 * Prints each expected difference once per kind, every other one in full; exit code 1 if there is any of those.
 */
import { parseArgs } from 'node:util';
import { stopSharedServers } from '../test/support/shared-servers.ts';
import { compare } from './goldens/compare.ts';
import { show } from './goldens/exact-json.ts';
import type { Difference } from './goldens/expected-differences.ts';
import { readRecording } from './goldens/recording.ts';
import { runFlow } from './goldens/run-flow.ts';
import { emptySource } from './goldens/source.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const folder = positionals[0];
if (folder === undefined) {
  process.stderr.write('Usage: npm run goldens -- DIR\n');
  process.exitCode = 2;
} else {
  try {
    await main(folder);
  } finally {
    await stopSharedServers();
  }
}

async function main(directory: string): Promise<void> {
  const recording = await readRecording(directory);
  await using source = await emptySource(recording.product);
  const ours = await runFlow({
    source,
    recording,
    profile: 'debezium',
    format: 'json-with-schema',
  });
  const { records, expected, unexpected } = compare(recording, ours);
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  out(`${directory}: ${records} records of Debezium, ${ours.length} of Headwater`);
  for (const [reason, differences] of expected) {
    out(`expected (${differences.length}): ${reason}`);
    out(`  e.g. ${describe(differences[0]!)}`);
  }
  for (const difference of unexpected) out(`DIFFERENT: ${describe(difference)}`);
  out(unexpected.length === 0 ? 'No other difference.' : `${unexpected.length} differences nobody expects.`);
  if (unexpected.length > 0) process.exitCode = 1;
}

function describe({ topic, index, op, path, theirs, mine }: Difference): string {
  const place = path.length === 0 ? 'the record' : path.join('.');
  return `${topic} #${index}${op === null ? '' : ` (${op})`} ${place}: Debezium ${show(theirs)}, Headwater ${show(mine)}`;
}
