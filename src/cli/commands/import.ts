import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { readConnectorFile } from '../../settings/debezium/connector-file.ts';
import { importConnector } from '../../settings/debezium/import-connector.ts';
import { errnoReason } from '../../settings/errno.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe:
          'The connector: the JSON posted to Kafka Connect, or a .properties file, also of Debezium Server',
      })
      .option('brokers', {
        type: 'string',
        describe: 'host:port of Kafka brokers, separated by commas: a connector leaves them to its worker',
      })
      .option('json', { type: 'boolean', default: false, describe: 'Print settings and notes as JSON' })
      .example(
        '$0 import debezium.json --brokers kafka:9092 > shop.yaml',
        'What has no equal is said on the standard error',
      ),
  async run({ file, brokers, json }) {
    const connector = readConnectorFile(await textOf(file), file);
    const { settings, notes } = importConnector(
      connector,
      brokers?.split(',').map((each) => each.trim()) ?? null,
    );
    if (json) {
      process.stdout.write(`${JSON.stringify({ settings, notes }, null, 2)}\n`);
      return 0;
    }
    process.stdout.write(stringify(settings, { lineWidth: 110 }));
    for (const { property, message } of notes) {
      process.stderr.write(`note: ${property === null ? message : `${property} ${message}`}\n`);
    }
    return 0;
  },
});

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HeadwaterError('settings.file-unreadable', `${file}: ${errnoReason(cause)}`, { cause });
  }
}
