import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';
import { PIPELINE_FILE, PRINT_JSON } from '../shared-options.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', PIPELINE_FILE)
      .option('json', PRINT_JSON)
      .example('$0 resume shop.yaml', 'Go on after a pause'),
  run: ({ file, json }) =>
    askPipeline(file, { action: 'resume' }, { json, sentence: (name) => `${name} goes on where it was` }),
});
