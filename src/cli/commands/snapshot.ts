import { HeadwaterError } from '../../errors/headwater-error.ts';
import { askPipeline } from '../ask-pipeline.ts';
import { defineCommand } from '../command.ts';
import { PIPELINE_FILE, PRINT_JSON } from '../shared-options.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', PIPELINE_FILE)
      .positional('tables', { type: 'string', array: true, default: [], describe: 'schema.table' })
      .option('where', { type: 'string', describe: 'SQL condition: only rows that satisfy it' })
      .option('pause', {
        type: 'boolean',
        default: false,
        describe: 'Hold what is being read; streaming goes on',
      })
      .option('resume', { type: 'boolean', default: false, describe: 'Go on where it was held' })
      .option('stop', {
        type: 'boolean',
        default: false,
        describe: 'Leave the rest unread, of these tables or of all',
      })
      .option('json', PRINT_JSON)
      .example('$0 snapshot shop.yaml public.orders', 'Read a table again while its changes go on streaming')
      .example('$0 snapshot shop.yaml public.orders --where "id > 1000"', 'A part of it')
      .example('$0 snapshot shop.yaml --pause', 'Give the database a rest')
      .epilogue(
        'Rows come as op r, in chunks merged with the stream, so that the order of a key stays right.',
      ),
  async run({ file, tables, where, pause, resume, stop, json }) {
    const wishes = [pause && 'pause', resume && 'resume', stop && 'stop'].filter((wish) => wish !== false);
    const [wish] = wishes;
    if (wishes.length > 1) throw usage(`--${wishes.join(' and --')} cannot stand together.`);
    if (wish !== undefined && where !== undefined) throw usage(`--where does not go with --${wish}.`);
    const list = tables.join(', ');
    switch (wish) {
      case 'pause':
        return askPipeline(
          file,
          { action: 'snapshot-pause' },
          { json, sentence: (name) => `${name}: the snapshot is held; streaming goes on` },
        );
      case 'resume':
        return askPipeline(
          file,
          { action: 'snapshot-resume' },
          { json, sentence: (name) => `${name}: the snapshot goes on` },
        );
      case 'stop':
        return askPipeline(
          file,
          { action: 'snapshot-stop', content: { tables } },
          {
            json,
            sentence: (name) =>
              `${name}: the rest ${list === '' ? 'of the snapshot' : `of ${list}`} is left unread`,
          },
        );
      default:
        if (tables.length === 0) throw usage('Name the tables to be read, or --pause, --resume or --stop.');
        return askPipeline(
          file,
          { action: 'snapshot', content: { tables, where: where ?? null } },
          {
            json,
            sentence: (name) =>
              `${name}: ${list} will be read beside the stream; headwater status shows how far it is`,
          },
        );
    }
  },
});

function usage(sentence: string): HeadwaterError {
  return new HeadwaterError('request.invalid', sentence, { fix: 'headwater snapshot --help shows how.' });
}
