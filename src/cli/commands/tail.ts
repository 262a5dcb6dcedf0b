import { type ColumnTypes, readColumnTypes } from '../../daemon/column-types.ts';
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
    // Asked for again with each table that is new.
    const asked = new Set<string>();
    let types: ReadonlyMap<string, ColumnTypes> = new Map();
    let unknown = false;
    const typesOf = (table: string): ColumnTypes | undefined => {
      unknown ||= settings.emit.profile === 'debezium' && !types.has(table) && !asked.has(table);
      asked.add(table);
      return types.get(table);
    };
    try {
      const request = { table: table ?? null, fromBeginning };
      for await (const record of tailRecords(settings, request, signals.stop)) {
        let text = json
          ? `${JSON.stringify({ ...record, key: textOf(record.key), value: textOf(record.value) })}\n`
          : describeRecord(record, colour, typesOf);
        if (unknown) {
          unknown = false;
          types = await readColumnTypes(settings, signals.stop).catch(() => types);
          text = describeRecord(record, colour, typesOf);
        }
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
