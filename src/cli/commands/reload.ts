import { defineCommand } from '../command.ts';
import { DAEMON_FILE, PRINT_JSON } from '../shared-options.ts';
import { postAdmin } from '../daemon-client.ts';
import { onStopSignals } from '../signals.ts';
import { whereToAsk } from '../where-to-ask.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', DAEMON_FILE)
      .option('json', PRINT_JSON)
      .example(
        '$0 reload shop.yaml',
        'After source.tables has changed: new tables are read while the others stream',
      )
      .epilogue(
        'The daemon reads the files it was started with; so it does on SIGHUP. A mistake in them changes nothing.',
      ),
  async run({ file, json }) {
    const signals = onStopSignals();
    try {
      const { address } = await whereToAsk(file);
      const answer = await postAdmin(address, 'reload', {}, signals.stop);
      process.stdout.write(json ? `${JSON.stringify(answer)}\n` : `${summaryText(answer)}\n`);
      return 0;
    } finally {
      signals.dispose();
    }
  },
});

function summaryText(answer: unknown): string {
  const parts = Object.entries(answer ?? {}).flatMap(([what, names]) =>
    Array.isArray(names) && names.length > 0
      ? [
          what === 'atRestart'
            ? `${names.join(', ')} has changed, which takes effect when the process starts anew`
            : `${what} ${names.join(', ')}`,
        ]
      : [],
  );
  return parts.length === 0 ? 'nothing has changed' : parts.join('; ');
}
