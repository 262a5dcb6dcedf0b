import { type DeadLetterFilter, type DeadLetterRecord, readDeadLetters } from '../../daemon/dead-letters.ts';
import { planReplay, type TableReplay } from '../../daemon/replay-plan.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { formatCount } from '../../observability/quantities.ts';
import type { Settings } from '../../settings/settings.ts';
import { defineCommand } from '../command.ts';
import { PRINT_JSON } from '../shared-options.ts';
import { postAdmin } from '../daemon-client.ts';
import { loadOneFile } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';
import { printable } from '../tail-view.ts';
import { whichPipeline } from '../where-to-ask.ts';

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('action', {
        choices: ['list', 'show', 'replay'] as const,
        demandOption: true,
        describe: 'Count them by table and cause, show each with its values, or read their rows again',
      })
      .positional('file', { type: 'string', demandOption: true, describe: 'Settings file' })
      .option('table', { type: 'string', describe: 'Only of this table, as schema.table' })
      .option('code', { type: 'string', describe: 'Only with this cause, as `list` shows it' })
      .option('whole-tables', {
        type: 'boolean',
        default: false,
        describe: 'replay: read all of a table where its rows cannot be named one by one',
      })
      .option('json', PRINT_JSON)
      .example('$0 dlq list shop.yaml', 'What could not be delivered, and why')
      .example('$0 dlq show shop.yaml --table public.orders', 'Each change, with its position and values')
      .example(
        '$0 dlq replay shop.yaml --table public.orders',
        'When the cause is mended: deliver those rows',
      )
      .epilogue(
        'replay lets the running daemon read the rows again as they are now, beside the stream: no older state comes after a newer one, and repeating it does no harm. What lies in the topic stays there.',
      ),
  async run({ action, file, table = null, code = null, wholeTables, json }) {
    const settings = await loadOneFile(file);
    const filter = { table, code };
    const signals = onStopSignals();
    try {
      switch (action) {
        case 'list':
          return await list(settings, { filter, json }, signals.stop);
        case 'show':
          return await show(settings, { filter, json }, signals.stop);
        case 'replay':
          return await replay(settings, { filter, json, file, wholeTables }, signals.stop);
      }
    } finally {
      signals.dispose();
    }
  },
});

interface Asked {
  readonly filter: DeadLetterFilter;
  readonly json: boolean;
}

interface Group {
  readonly table: string | null;
  readonly topic: string;
  readonly code: string;
  count: number;
  readonly first: string;
  last: string;
  message: string;
}

async function list(settings: Settings, { filter, json }: Asked, signal: AbortSignal): Promise<number> {
  const groups = new Map<string, Group>();
  for await (const { table, topic, code, at, message } of readDeadLetters(settings, filter, signal)) {
    const key = JSON.stringify([table, topic, code]);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { table, topic, code, count: 1, first: at, last: at, message });
      continue;
    }
    group.count++;
    group.last = at;
    group.message = message;
  }
  const shown = [...groups.values()];
  if (json) process.stdout.write(`${JSON.stringify({ deadLetters: shown }, null, 2)}\n`);
  else if (shown.length === 0) process.stdout.write('There are no dead letters.\n');
  for (const { table, topic, code, count, first, last, message } of json ? [] : shown) {
    const what = count === 1 ? '1 change' : `${formatCount(count)} changes`;
    const when = first === last ? first : `${first} to ${last}`;
    process.stdout.write(`${table ?? topic}  ${code}  ${what}, ${when}\n  ${printable(message)}\n`);
  }
  return 0;
}

async function show(settings: Settings, { filter, json }: Asked, signal: AbortSignal): Promise<number> {
  for await (const letter of readDeadLetters(settings, filter, signal)) {
    process.stdout.write(json ? `${JSON.stringify(letter)}\n` : letterText(letter));
  }
  return 0;
}

function letterText({ place, at, table, topic, op, code, message, ...rest }: DeadLetterRecord): string {
  const lines = [`${place}  ${at}  ${table ?? topic}${op === null ? '' : ` ${op}`}  ${code}`, `  ${message}`];
  for (const name of ['source', 'before', 'after'] as const) {
    if (rest[name] !== null) lines.push(`  ${name.padEnd(6)} ${JSON.stringify(rest[name])}`);
  }
  return `${lines.map(printable).join('\n')}\n`;
}

async function replay(
  settings: Settings,
  { filter, json, file, wholeTables }: Asked & { readonly file: string; readonly wholeTables: boolean },
  signal: AbortSignal,
): Promise<number> {
  const { address, name } = await whichPipeline(file);
  const { tables, foreign } = await planReplay(settings, filter, signal);
  const path = `pipelines/${encodeURIComponent(name)}`;
  const left: TableReplay[] = [];
  for (const each of tables) {
    const { table, where } = each;
    if (where !== null) await postAdmin(address, `${path}/snapshot`, { tables: [table], where }, signal);
    else if (wholeTables) await postAdmin(address, `${path}/resync`, { tables: [table] }, signal);
    else left.push(each);
  }
  const asked = tables.filter((each) => !left.includes(each));
  const deletes = asked.reduce((sum, each) => sum + each.deletes, 0);
  if (json) process.stdout.write(`${JSON.stringify({ pipeline: name, asked, left, foreign })}\n`);
  else process.stdout.write(`${summary(name, asked, foreign)}\n`);
  if (deletes > 0) {
    process.stderr.write(
      `note: ${formatCount(deletes)} of these changes are deletes: rows that are gone are in no snapshot, so consumers keep what they have of them.\n`,
    );
  }
  if (left.length === 0) return 0;
  throw new HeadwaterError(
    'request.invalid',
    `The rows of ${left.map(({ table, whole }) => `${table} (${whole})`).join(', ')} cannot be read one by one.`,
    { fix: 'Read all of these tables with --whole-tables.' },
  );
}

function summary(name: string, asked: readonly TableReplay[], foreign: number): string {
  const lines = asked.map(({ table, where, rows, letters }) => {
    const what = where === null ? 'all of it' : rows === 1 ? '1 row' : `${formatCount(rows)} rows`;
    return `${name}: ${table} is read again, ${what}, for ${letters === 1 ? '1 dead letter' : `${formatCount(letters)} dead letters`}`;
  });
  if (foreign > 0) lines.push(`${formatCount(foreign)} are of tables that are not captured`);
  return lines.length === 0 ? 'There is nothing to replay.' : lines.join('\n');
}
