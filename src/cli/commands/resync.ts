import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';
import { PIPELINE_FILE, PRINT_JSON } from '../shared-options.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', PIPELINE_FILE)
      .positional('tables', { type: 'string', array: true, demandOption: true, describe: 'schema.table' })
      .option('json', PRINT_JSON)
      .example('$0 resync shop.yaml public.orders', 'Forget what is known of the table and read it again')
      .epilogue(
        'Rows are those of snapshot.where in the settings; `headwater snapshot --where` takes a condition of its own.',
      ),
  run: ({ file, tables, json }) =>
    askPipeline(
      file,
      { action: 'resync', content: { tables } },
      {
        json,
        sentence: (name) =>
          `${name}: ${tables.join(', ')} will be read again; headwater status shows how far it is`,
      },
    ),
});
