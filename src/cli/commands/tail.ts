import { tailRecords } from '../../daemon/tail.ts';
import { defineCommand } from '../command.ts';
import { loadOneFile } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';
import { describeRecord } from '../tail-view.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'Settings file' })
      .positional('table', { type: 'string', describe: 'Only this table, as schema.table' })
      .option('from-beginning', {
        type: 'boolean',
        default: false,
        describe: 'From the first record that is still there, instead of from now',
      })
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON, one object a record' })
      .example('$0 tail shop.yaml public.orders', 'Watch one table'),
  async run({ file, table, fromBeginning, json }) {
    const settings = await loadOneFile(file);
    const signals = onStopSignals();
    const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined;
    try {
      const request = { table: table ?? null, fromBeginning };
      for await (const record of tailRecords(settings, request, signals.stop)) {
        const text = json
          ? `${JSON.stringify({ ...record, key: textOf(record.key), value: textOf(record.value) })}\n`
          : describeRecord(record, colour);
        if (text !== null) process.stdout.write(text);
      }
    } catch (error) {
      if (!signals.stop.aborted) throw error;
    } finally {
      signals.dispose();
    }
    return 0;
  },
});

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes);
}
