import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';
import { PIPELINE_FILE, PRINT_JSON } from '../shared-options.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', PIPELINE_FILE)
      .option('json', PRINT_JSON)
      .example(
        '$0 pause shop.yaml',
        'Stop reading and delivering; the source goes on keeping its log for the pipeline',
      ),
  run: ({ file, json }) =>
    askPipeline(
      file,
      { action: 'pause' },
      { json, sentence: (name) => `${name} is paused; the source keeps its log until it is resumed` },
    ),
});
