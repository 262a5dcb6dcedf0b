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
        describe: 'schema.table: only these, where they were paused by name',
      })
      .option('json', PRINT_JSON)
      .example('$0 resume shop.yaml', 'Go on after a pause')
      .example('$0 resume shop.yaml public.orders', 'Take up a table that was paused by name'),
  run: ({ file, tables, json }) =>
    askPipeline(
      file,
      { action: 'resume', content: { tables } },
      {
        json,
        sentence: (name) =>
          tables.length === 0
            ? `${name} goes on where it was`
            : `${name}: ${tables.join(', ')} will be read anew where paused by name, and go on`,
      },
    ),
});
