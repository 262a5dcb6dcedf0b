import { settingsJsonSchema } from '../../settings/schema-walk.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('action', { choices: ['schema'] as const, demandOption: true, describe: 'What to print' })
      .example(
        '$0 settings schema > headwater.schema.json',
        'Let an editor complete and check settings files',
      )
      .epilogue(
        'Editors with the YAML language server use it when the first line of the file is\n# yaml-language-server: $schema=headwater.schema.json',
      ),
  run() {
    process.stdout.write(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
    return Promise.resolve(0);
  },
});
