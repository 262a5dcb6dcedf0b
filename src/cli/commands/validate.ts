import { defineCommand } from '../command.ts';
import { PRINT_JSON } from '../shared-options.ts';
import { loadWithStatements } from '../load-files.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'Settings files' })
      .option('json', PRINT_JSON)
      .example('$0 validate shop.yaml', 'Every mistake with file, line and what was probably meant'),
  async run({ files, json }) {
    const settings = await loadWithStatements(files);
    for (const { file, name, source, emit } of settings) {
      const host = source.hosts.map(({ host, port }) => `${host}:${port}`).join(',');
      process.stdout.write(
        json
          ? `${JSON.stringify({ file, name, valid: true })}\n`
          : `${file}: valid; pipeline ${name} reads ${source.database === '' ? source.connector : source.database} at ${host} and writes to ${emit.sink.kind}\n`,
      );
    }
    return 0;
  },
});
