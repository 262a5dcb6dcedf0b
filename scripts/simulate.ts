/**
 * `npm run simulate -- --databases 500 --tables 20000 --events 2000000/s`: what a fleet for that load needs, by the
 * measurements of docs/performance.md. docs/scale.md says how it is reckoned.
 */
import yargs from 'yargs';
import { DEFAULT_LOAD, COSTS, simulate } from '../bench/cost-model.ts';
import { fleetReport, perSecond } from '../bench/fleet-report.ts';

const whole = (name: string) => (value: number) => {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} has to be a whole number.`);
  return value;
};

const options = await yargs(process.argv.slice(2))
  .scriptName('npm run simulate --')
  .option('databases', {
    type: 'number',
    demandOption: true,
    describe: 'each with a log of its own',
    coerce: whole('databases'),
  })
  .option('tables', {
    type: 'number',
    demandOption: true,
    describe: 'of all databases together',
    coerce: whole('tables'),
  })
  .option('events', {
    type: 'string',
    demandOption: true,
    describe: 'of all together, such as 2000000/s',
    coerce: perSecond,
  })
  .option('busiest', {
    type: 'number',
    default: 0,
    describe: 'share of the events of the busiest database, 0 to 1; 0: even',
  })
  .option('join-rows', {
    type: 'number',
    default: DEFAULT_LOAD.joinRows,
    describe: 'rows of joined tables in all',
    coerce: whole('join-rows'),
  })
  .option('standbys', {
    type: 'number',
    default: DEFAULT_LOAD.standbys,
    describe: 'warm instances',
    coerce: whole('standbys'),
  })
  .option('use', {
    type: 'number',
    default: DEFAULT_LOAD.use,
    describe: 'share of a core to use in the steady state',
  })
  .option('instance-mb', {
    type: 'number',
    default: DEFAULT_LOAD.instanceMb,
    describe: 'memory an instance may have',
    coerce: whole('instance-mb'),
  })
  .option('replication', {
    type: 'number',
    default: DEFAULT_LOAD.replication,
    describe: 'of the topics',
    coerce: whole('replication'),
  })
  .option('event-bytes', {
    type: 'number',
    default: COSTS.bytesPerEvent,
    describe: 'of a JSON event',
    coerce: whole('event-bytes'),
  })
  .check(({ databases, tables, busiest, use }) => {
    if (databases < 1 || tables < 1) throw new Error('At least one database and one table are needed.');
    if (!(busiest >= 0 && busiest <= 1)) throw new Error('--busiest is a share, 0 to 1.');
    if (!(use > 0 && use <= 1)) throw new Error('--use is a share above 0, at most 1.');
    return true;
  })
  .strict()
  .help()
  .parseAsync();

const { databases, tables, events, busiest, joinRows, standbys, use, instanceMb, replication, eventBytes } =
  options;
const fleet = simulate(
  { ...DEFAULT_LOAD, databases, tables, events, busiest, joinRows, standbys, use, instanceMb, replication },
  { ...COSTS, bytesPerEvent: eventBytes },
);
process.stdout.write(fleetReport(fleet));
