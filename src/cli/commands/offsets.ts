import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { createInterface } from 'node:readline/promises';
import { type Offsets, POSITION_FIX, readOffsets, writeOffsets } from '../../daemon/offsets.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue } from '../../model/position.ts';
import type { Settings } from '../../settings/settings.ts';
import { defineCommand } from '../command.ts';
import { PRINT_JSON } from '../shared-options.ts';
import { loadOneFile } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('action', { choices: ['show', 'export', 'set'] as const, demandOption: true })
      .positional('file', { type: 'string', demandOption: true, describe: 'Settings file' })
      .positional('position', {
        type: 'string',
        describe: 'set: the position as JSON, @FILE with what `export` has written, or - for standard input',
      })
      .option('json', PRINT_JSON)
      .option('yes', { type: 'boolean', default: false, describe: 'set: do not ask' })
      .example('$0 offsets show shop.yaml', 'Where the pipeline will resume')
      .example('$0 offsets export shop.yaml > offsets.json', 'Keep it')
      .example('$0 offsets set shop.yaml @offsets.json', 'Go back to it'),
  async run({ action, file, position, json, yes }) {
    const settings = await loadOneFile(file);
    const signals = onStopSignals();
    try {
      const offsets = await readOffsets(settings, signals.stop);
      if (action === 'set') return await set({ settings, offsets, text: position, yes, json }, signals.stop);
      process.stdout.write(
        json || action === 'export'
          ? `${JSON.stringify(offsets, null, 2)}\n`
          : offsetsText(settings, offsets),
      );
      return 0;
    } finally {
      signals.dispose();
    }
  },
});

interface SetRequest {
  readonly settings: Settings;
  readonly offsets: Offsets;
  readonly text: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

async function set({ settings, offsets, text, yes, json }: SetRequest, signal: AbortSignal): Promise<number> {
  const position = await readPosition(text);
  if (isDeepStrictEqual(position, offsets.position)) {
    process.stdout.write(json ? `${JSON.stringify({ position })}\n` : 'The pipeline stands there already.\n');
    return 0;
  }
  const from = offsets.position === null ? 'no position yet' : JSON.stringify(offsets.position);
  const warning = `${settings.name}: from ${from}\n${' '.repeat(settings.name.length + 2)}to   ${JSON.stringify(position)}\nAn earlier position delivers changes again, a later one leaves changes out for good.\n`;
  if (!yes && !(await confirmed(warning, signal))) {
    process.stderr.write('Nothing has been changed.\n');
    return 1;
  }
  const unchecked = ({ message }: HeadwaterError): void =>
    void process.stderr.write(`Whether the log can be read from there is not known: ${message}\n`);
  await writeOffsets(settings, position, unchecked, signal);
  process.stdout.write(
    json ? `${JSON.stringify({ position })}\n` : `${settings.name} resumes at ${JSON.stringify(position)}.\n`,
  );
  return 0;
}

async function confirmed(warning: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new HeadwaterError(
      'settings.invalid',
      'Setting the position can repeat or lose changes, and there is no terminal to ask at.',
      { fix: 'Add --yes if that is meant.' },
    );
  }
  process.stderr.write(warning);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question('Set it? [y/N] ', { signal })).trim());
  } finally {
    lines.close();
  }
}

/** A position alone, or what `export` prints around it. */
async function readPosition(text: string | undefined): Promise<JsonValue> {
  const invalid = (what: string): HeadwaterError =>
    new HeadwaterError('settings.invalid', what, {
      fix: POSITION_FIX,
    });
  if (text === undefined) throw invalid('`offsets set` needs a position after the file.');
  let json = text;
  if (text === '-' || text.startsWith('@')) {
    const source = text === '-' ? '/dev/stdin' : text.slice(1);
    json = await readFile(source, 'utf8').catch(() => {
      throw invalid(`${source} cannot be read.`);
    });
  }
  let value: JsonValue;
  try {
    value = JSON.parse(json) as JsonValue;
  } catch {
    throw invalid('The position is not JSON.');
  }
  const exported =
    typeof value === 'object' && value !== null && !Array.isArray(value) && 'position' in value;
  return exported ? ((value as { readonly position: JsonValue }).position ?? null) : value;
}

function offsetsText(settings: Settings, offsets: Offsets): string {
  if (offsets.position === null) return `${settings.name} has no position: it has not run yet.\n`;
  const lines = [
    `${settings.name} resumes at ${JSON.stringify(offsets.position)}`,
    `  last transaction delivered committed ${offsets.commitTime ?? 'at an unknown time'}; start number ${offsets.epoch}`,
    `  log: ${JSON.stringify(offsets.source)}`,
    `  snapshot: ${JSON.stringify(offsets.snapshot)}`,
  ];
  for (const [table, ledger] of Object.entries(offsets.tables)) {
    const text = JSON.stringify(ledger);
    lines.push(`  ${table}: ${text.length > 160 ? `${text.slice(0, 160)}… (all of it with --json)` : text}`);
  }
  return `${lines.join('\n')}\n`;
}
