import { exportToFlink } from '../../daemon/flink-export.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { loadOneFile } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';

interface Asked {
  readonly verb: string | undefined;
  readonly file: string | undefined;
  readonly to: 'flink' | undefined;
}

/**
 * Prints the script, and on standard error what in it differs. Throws an error for each statement that is not in
 * it, when the script has been printed.
 */
export async function exportStatements({ verb, file, to }: Asked): Promise<number> {
  if (verb !== 'export' || file === undefined || to === undefined)
    throw new HeadwaterError('settings.invalid', 'An export needs a settings file and an engine.', {
      fix: 'headwater sql export FILE --to flink',
    });
  const settings = await loadOneFile(file);
  const signals = onStopSignals();
  try {
    const { text, missing, differences } = await exportToFlink(settings, signals.stop);
    process.stdout.write(text);
    for (const sentence of differences) process.stderr.write(`note: ${sentence}\n`);
    if (missing.length === 0) return 0;
    throw new AggregateError(
      missing.map((sentence) => new HeadwaterError('enrich.no-equal', sentence)),
      'The script lacks statements.',
    );
  } finally {
    signals.dispose();
  }
}
