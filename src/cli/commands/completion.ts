import yargs from 'yargs';
import { defineCommand } from '../command.ts';

/** Fish shows what stands behind a colon in yargs' answers for zsh alone, so none is asked for. */
const FISH = `complete --command headwater --condition 'not string match --quiet -- "-*" (commandline -ct); and test (count (commandline -opc)) -eq 1' --no-files
complete --command headwater --arguments '(headwater --get-yargs-completions (commandline -opc) (commandline -ct))'
`;

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('shell', {
        choices: ['bash', 'zsh', 'fish'] as const,
        demandOption: true,
        describe: 'For which the script is',
      })
      .example('$0 completion bash >> ~/.bashrc', 'Complete commands and options with the tab key')
      .example('$0 completion zsh >> ~/.zshrc', 'Likewise in zsh')
      .example('$0 completion fish > ~/.config/fish/completions/headwater.fish', 'And in fish'),
  run({ shell }) {
    if (shell === 'fish') {
      process.stdout.write(FISH);
      return Promise.resolve(0);
    }
    // yargs writes the script for the shell that these name.
    delete process.env.ZSH_NAME;
    process.env.SHELL = shell;
    yargs().scriptName('headwater').showCompletionScript();
    return Promise.resolve(0);
  },
});
