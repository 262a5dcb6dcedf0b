/**
 * `npm run bench -- COMMAND`. Standard output is the report, standard error the progress. Exits with 1 where
 * contenders that should deliver the same did not.
 */
import yargs, { type Argv } from 'yargs';
import type { PeerName } from './debezium.ts';
import { benchFloors } from './floors.ts';
import type { Delivery } from './headwater.ts';
import { benchLargeTransaction } from './large-transaction.ts';
import { benchContest } from './contest.ts';
import { SCENARIOS, type Scenario } from './contest-result.ts';
import { benchManyTables } from './many-tables.ts';
import { benchProfile } from './profile.ts';
import { benchJoin, JOIN_PEERS } from './join/join.ts';
import { benchState } from './state.ts';
import type { Identity, Product } from './source.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(`Stopped by ${signal}`)));
}
const { signal } = interrupted;

const PEERS = ['default', 'tuned', 'small'] as const satisfies readonly PeerName[];

const DELIVERIES: readonly Delivery[] = ['exactly-once', 'at-least-once'];
const DELIVERY_OPTION = { choices: DELIVERIES, default: 'exactly-once' satisfies Delivery as Delivery };

function list<T extends string>(allowed: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((name) => {
      const found = allowed.find((each) => each === name);
      if (found === undefined) throw new Error(`${name} is none of ${allowed.join(', ')}`);
      return found;
    });
}

const IDENTITIES: readonly Identity[] = ['default', 'full'];

const SOURCE_OPTION = {
  choices: ['postgres', 'mysql', 'mariadb'] satisfies Product[] as Product[],
  default: 'postgres' satisfies Product as Product,
  describe: 'the source',
};

function contestOptions<T>(command: Argv<T>) {
  return command
    .option('rows', { type: 'number', default: 1_000_000, describe: 'rows of the table, and changes' })
    .option('json', { type: 'string', describe: 'write the result to this file' })
    .option('only', {
      type: 'string',
      default: SCENARIOS.join(','),
      describe: 'which of the scenarios',
      coerce: list<Scenario>(SCENARIOS),
    })
    .option('peer', {
      type: 'string',
      default: PEERS.join(','),
      describe: 'settings of the peer, or none',
      coerce: (text: string) => (text === 'none' ? [] : list<(typeof PEERS)[number]>(PEERS)(text)),
    })
    .option('ours', { type: 'boolean', default: true, describe: '--no-ours: the peer alone' })
    .option('repeat', { type: 'number', default: 1, describe: 'runs of each; the median counts' })
    .option('partitions', { type: 'number', default: 3, describe: 'of each topic' })
    .option('rate', { type: 'number', default: 500, describe: 'changes per second for the latency' })
    .option('seconds', { type: 'number', default: 20, describe: 'how long latency is measured' });
}

type ContestFlags = Awaited<ReturnType<typeof contestOptions<object>>['argv']>;

async function contest(product: Product, identity: Identity, flags: ContestFlags): Promise<void> {
  const agreed = await benchContest(
    {
      product,
      identity,
      rows: flags.rows,
      only: flags.only,
      peers: flags.peer,
      ours: flags.ours,
      repeat: flags.repeat,
      partitions: flags.partitions,
      changesPerSecond: flags.rate,
      latencySeconds: flags.seconds,
      json: flags.json ?? null,
    },
    signal,
  );
  if (!agreed) process.exitCode = 1;
}

await yargs(process.argv.slice(2))
  .scriptName('npm run bench --')
  .command(
    'postgres',
    'Headwater and Debezium on the same PostgreSQL work',
    (command) =>
      contestOptions(command)
        .option('identity', {
          choices: IDENTITIES,
          default: 'default' as const satisfies Identity,
          describe: 'REPLICA IDENTITY of the table',
        })
        .example('npm run bench -- postgres --rows 100000 --only snapshot --peer tuned', 'a quick look'),
    ({ identity, ...options }) => contest('postgres', identity, options),
  )
  .command(
    'mysql',
    'Headwater and Debezium on the same MySQL work',
    (command) => contestOptions(command),
    (options) => contest('mysql', 'full', options),
  )
  .command(
    'mariadb',
    'Headwater and Debezium on the same MariaDB work',
    (command) => contestOptions(command),
    (options) => contest('mariadb', 'full', options),
  )
  .command(
    'floors',
    'what receiving the log, receiving a table and producing cost by themselves',
    (command) =>
      command.option('rows', { type: 'number', default: 1_000_000 }).option('source', SOURCE_OPTION),
    ({ rows, source }) => benchFloors(source, { rows }),
  )
  .command(
    'join',
    'ratings left-joined to customers, beside Kafka Streams and Flink',
    (command) =>
      command
        .option('rows', { type: 'number', default: 1_000_000, describe: 'ratings' })
        .option('customers', { type: 'number', describe: 'a tenth of the ratings, unless given' })
        .option('partitions', { type: 'number', default: 3, describe: 'of each topic' })
        .option('repeat', { type: 'number', default: 1, describe: 'runs of each; the median counts' })
        .option('delivery', {
          type: 'string',
          default: DELIVERIES.join(','),
          coerce: list<Delivery>(DELIVERIES),
        })
        .option('peer', {
          type: 'string',
          default: JOIN_PEERS.join(','),
          describe: 'which of them, or none',
          coerce: (text: string) => (text === 'none' ? [] : list(JOIN_PEERS)(text)),
        })
        .option('node-flags', { type: 'string', default: '', describe: 'for Headwater, such as --cpu-prof' })
        .option('json', { type: 'string', describe: 'write the result to this file' }),
    async ({ rows, customers, partitions, repeat, delivery, peer, json, nodeFlags }) => {
      const settings = {
        ratings: rows,
        customers: customers ?? Math.ceil(rows / 10),
        partitions,
        repeat,
        deliveries: delivery,
        peers: peer,
        nodeFlags: nodeFlags.split(' ').filter((flag) => flag !== ''),
        json: json ?? null,
      };
      if (!(await benchJoin(settings, signal))) process.exitCode = 1;
    },
  )
  .command(
    'state',
    'what joined tables and groups cost in memory and on disk',
    (command) =>
      command
        .option('rows', { type: 'number', default: 5_000_000 })
        .option('groups', { type: 'number', default: 1_000_000 }),
    ({ rows, groups }) => benchState({ rows, groups }),
  )
  .command(
    'tables',
    'one PostgreSQL with many tables, to Kafka',
    (command) =>
      command
        .option('tables', {
          type: 'string',
          default: '100,5000',
          describe: 'how many, run by run; more than seven each',
          coerce: (text: string) => text.split(',').map(Number),
        })
        .option('format', { choices: ['json', 'avro'] as const, default: 'json' as const })
        .check(({ tables }) => {
          if (tables.every((each) => Number.isSafeInteger(each) && each > 7)) return true;
          throw new Error('--tables are whole numbers above 7, such as 100,5000.');
        }),
    async (options) => benchManyTables(options, signal),
  )
  .command(
    'encoders',
    'what one record costs to encode',
    (command) =>
      command
        .option('events', { type: 'number', default: 300_000 })
        .option('repeat', { type: 'number', default: 5, describe: 'runs; the median counts' }),
    async ({ events, repeat }) => {
      // Loaded only here: the compiler's knowledge of these functions must not come from elsewhere.
      const { benchEncoders } = await import('./encoders.ts');
      await benchEncoders({ events, repeat });
    },
  )
  .command(
    'decoders',
    'what reading one record of a topic costs',
    (command) =>
      command
        .option('events', { type: 'number', default: 1_000_000 })
        .option('repeat', { type: 'number', default: 5, describe: 'runs; the median counts' }),
    async ({ events, repeat }) => {
      const { benchDecoders } = await import('./decoders.ts');
      await benchDecoders({ events, repeat });
      const { benchFetched } = await import('./fetched.ts');
      await benchFetched({ events, repeat });
    },
  )
  .command(
    'oracle-parser',
    'what reading one statement of Oracle’s redo log costs',
    (command) =>
      command
        .option('statements', { type: 'number', default: 1_000_000 })
        .option('repeat', { type: 'number', default: 5, describe: 'runs; the median counts' }),
    async ({ statements, repeat }) => {
      const { benchOracleParser } = await import('./oracle-parser.ts');
      benchOracleParser({ statements, repeat });
    },
  )
  .command(
    'large-transaction',
    'one transaction of many rows: memory has to stay flat',
    (command) =>
      command
        .option('rows', { type: 'number', default: 5_000_000 })
        .option('delivery', DELIVERY_OPTION)
        .option('source', SOURCE_OPTION),
    async ({ rows, delivery, source }) => {
      if (!(await benchLargeTransaction({ product: source, rows, delivery }, signal))) process.exitCode = 1;
    },
  )
  .command(
    'profile <scenario>',
    "Headwater's functions by the time they take",
    (command) =>
      command
        .positional('scenario', { choices: ['snapshot', 'catchup'] as const, demandOption: true })
        .option('rows', { type: 'number', default: 300_000 })
        .option('delivery', DELIVERY_OPTION)
        .option('source', SOURCE_OPTION)
        .option('top', { type: 'number', default: 30, describe: 'how many functions' })
        .option('keep', { type: 'string', describe: 'leave the .cpuprofile file in this directory' }),
    ({ scenario, rows, delivery, source, top, keep }) =>
      benchProfile({ product: source, scenario, rows, delivery, top, keep: keep ?? null }, signal),
  )
  .demandCommand(1, 'Name what to measure')
  .strict()
  .help()
  .version(false)
  .fail((message, error) => {
    console.error(error ?? message);
    process.exit(1);
  })
  .parseAsync();
