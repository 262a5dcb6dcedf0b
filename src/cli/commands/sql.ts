import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { errnoReason } from '../../settings/errno.ts';
import { defineCommand } from '../command.ts';
import { onStopSignals } from '../signals.ts';
import { historyPath, prompt } from '../sql/prompt.ts';
import { SqlConsole } from '../sql/sql-console.ts';
import { whereToAskSql } from '../where-to-ask.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        describe: 'Settings file of the daemon; without it 127.0.0.1:8088. Or the word export',
      })
      .positional('exported', {
        type: 'string',
        describe: 'With export: the settings file whose statements are printed for another engine',
      })
      .option('to', { choices: ['flink'] as const, describe: 'With export: the engine' })
      .option('execute', { alias: 'e', type: 'string', describe: 'Run these statements and end' })
      .option('script', { alias: 'f', type: 'string', describe: 'Run the statements of this file and end' })
      .conflicts('execute', 'script')
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON, one object a row' })
      .example('$0 sql shop.yaml', 'A prompt')
      .example('$0 sql export shop.yaml --to flink', 'The statements of enrich.sql as a script of Flink SQL')
      .example(`$0 sql -e "SELECT * FROM customers WHERE id = 17"`, 'One question')
      .epilogue(
        'Without a terminal statements are read from standard input. docs/sql-api.md shows what can be asked.',
      ),
  async run({ file, exported, to, execute, script, json }) {
    if (file === 'export' || exported !== undefined || to !== undefined) {
      const { exportStatements } = await import('../sql/export-statements.ts');
      return exportStatements({ verb: file, file: exported, to });
    }
    const address = await whereToAskSql(file);
    const write = (part: string): void => void process.stdout.write(part);
    const sql = new SqlConsole({ address, json, write });
    const given = execute ?? (script === undefined ? null : await readScript(script));
    if (given === null && process.stdin.isTTY) {
      await prompt(sql, {
        input: process.stdin,
        output: process.stdout,
        historyFile: historyPath(process.env),
      });
      return 0;
    }
    const signals = onStopSignals();
    try {
      await sql.run(given ?? (await text(process.stdin)), signals.stop);
    } catch (error) {
      if (!signals.stop.aborted) throw error;
    } finally {
      signals.dispose();
    }
    return 0;
  },
});

async function readScript(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HeadwaterError('settings.file-unreadable', `${path}: ${errnoReason(cause)}`, { cause });
  }
}
