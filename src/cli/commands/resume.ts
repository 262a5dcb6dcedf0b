import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'Settings file of the running pipeline',
      })
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON' })
      .example('$0 resume shop.yaml', 'Go on after a pause'),
  run: ({ file, json }) =>
    askPipeline(file, { action: 'resume' }, { json, sentence: (name) => `${name} goes on where it was` }),
});
