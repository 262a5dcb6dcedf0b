import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';
import { PIPELINE_FILE, PRINT_JSON } from '../shared-options.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', PIPELINE_FILE)
      .positional('tables', {
        type: 'string',
        array: true,
        default: [],
        describe: 'schema.table: only these; without any the pipeline as a whole',
      })
      .option('json', PRINT_JSON)
      .example(
        '$0 pause shop.yaml',
        'Stop reading and delivering; the source goes on keeping its log for the pipeline',
      )
      .example('$0 pause shop.yaml public.orders', 'Leave out what changes in one table; the others go on')
      .epilogue(
        'The log cannot be kept for one table alone: what a paused table changes is left out, also over restarts, and it is read anew when it is resumed.',
      ),
  run: ({ file, tables, json }) =>
    askPipeline(
      file,
      { action: 'pause', content: { tables } },
      {
        json,
        sentence: (name) =>
          tables.length === 0
            ? `${name} is paused; the source keeps its log until it is resumed`
            : `${name}: changes of ${tables.join(', ')} are left out until it is resumed, and read anew then`,
      },
    ),
});
