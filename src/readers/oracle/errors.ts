import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { mappingBy } from '../mapping.ts';
import { OracleError } from './session/oracle-session.ts';

/**
 * What the mining loop can do about an error while its session lives:
 *
 * - `log-moved`: a log file is not where it was; look for the files again
 * - `stale`: LogMiner's session is not as thought; build it again
 * - `range`: the SCN range is refused; compute the window again
 * - `timeout`, `memory`: too much at once; halve the window (with `memory` on a new connection)
 * - `passing`: a state of LogMiner or the dictionary that passes
 * - `reconnect`: only a new attempt on new connections helps
 * - `fatal`: nothing helps but the operator
 * - `unknown`: a new attempt, a few times
 */
export type ErrorClass =
  'log-moved' | 'stale' | 'range' | 'timeout' | 'memory' | 'passing' | 'reconnect' | 'fatal' | 'unknown';

interface Entry {
  readonly class: ErrorClass;
  readonly code: Code;
  readonly fix?: string;
}

const ORA = new Map<number, Entry>();
const NJS = new Map<number, Entry>();

function all(map: Map<number, Entry>, entry: Entry, ...numbers: readonly number[]): void {
  for (const number of numbers) map.set(number, entry);
}

const LOST: Entry = { class: 'reconnect', code: 'source.connection-lost' };
const AWAY: Entry = { class: 'reconnect', code: 'source.unreachable' };
/** The listener is there and does not know what is asked for: it may be starting, or misspelt. */
const SERVICE: Entry = {
  class: 'reconnect',
  code: 'source.unreachable',
  fix: 'Look whether the service of source.url is one that `lsnrctl services` lists.',
};
const FULL: Entry = { class: 'reconnect', code: 'source.too-many-connections' };
const LOGIN: Entry = { class: 'fatal', code: 'source.auth-failed' };
const CLIENT: Entry = { class: 'fatal', code: 'source.client-unsupported' };
const CONTAINER: Entry = { class: 'fatal', code: 'source.container' };
const GRANT: Entry = { class: 'fatal', code: 'source.privilege-missing' };
const INCARNATION: Entry = { class: 'fatal', code: 'source.position-lost' };

all(
  ORA,
  { class: 'log-moved', code: 'source.log-missing' },
  1291,
  308,
  310,
  334,
  1368,
  1284,
  313,
  333,
  27037,
);
all(ORA, { class: 'stale', code: 'source.log-failed' }, 1289, 1306, 1307);
all(ORA, { class: 'range', code: 'source.log-failed' }, 1281);
all(ORA, { class: 'timeout', code: 'source.query-interrupted' }, 1013);
all(
  ORA,
  {
    class: 'memory',
    code: 'source.out-of-resources',
    fix: 'Lower source.oracle.session_time or source.oracle.max_window, or raise PGA_AGGREGATE_LIMIT.',
  },
  4030,
  4031,
  4036,
);
all(ORA, { class: 'passing', code: 'source.query-interrupted' }, 604, 1001, 1333, 1327, 1371, 1343);
all(ORA, LOST, 3113, 3114, 3135, 25408, 28, 31, 1012, 1041, 2396, 2399, 12547, 12570, 12571, 12537);
all(ORA, AWAY, 1089, 1090, 1092, 1033, 1034, 1109, 12528, 12526, 12541, 12543, 12545, 12170);
all(ORA, SERVICE, 12514, 12505);
all(ORA, FULL, 12516, 12518, 12519, 12520, 18, 20, 2391);
all(ORA, LOGIN, 1017, 28000, 28001, 1005);
all(ORA, GRANT, 1031, 942, 1749);
all(ORA, CONTAINER, 65040, 65050, 65011);
all(ORA, { class: 'fatal', code: 'source.archive-mode' }, 1325);
all(ORA, { class: 'fatal', code: 'source.supplemental-logging' }, 1354, 1347);
all(ORA, INCARNATION, 1280, 1282, 1292, 1295, 1346);
all(ORA, CLIENT, 12660);
all(NJS, LOST, 500, 501, 521, 3, 40);
all(NJS, AWAY, 503, 510, 511, 513, 530);
all(NJS, SERVICE, 518, 519);
all(NJS, LOGIN, 116);
all(
  NJS,
  { class: 'timeout', code: 'source.query-interrupted', fix: 'Raise source.oracle.query_timeout.' },
  123,
);
all(NJS, CLIENT, 138, 533, 100);
all(NJS, { class: 'fatal', code: 'source.tls-failed' }, 505, 506, 507, 508);
all(
  NJS,
  { class: 'fatal', code: 'settings.invalid', fix: 'Check host and service of source.url.' },
  512,
  514,
  515,
  516,
  517,
);

/** Bugs of LogMiner that are known by the first argument of ORA-00600. */
const INTERNAL: readonly (readonly [prefix: string, entry: Entry])[] = [
  ['krvrdGetUID', { class: 'reconnect', code: 'source.connection-lost' }],
  ['krvrdccs10', { class: 'reconnect', code: 'source.connection-lost' }],
  ['krvrdccs30', { class: 'reconnect', code: 'source.connection-lost' }],
  ['flg0', { class: 'fatal', code: 'source.supplemental-logging' }],
  [
    'kdli_iread',
    {
      class: 'fatal',
      code: 'source.log-failed',
      fix: 'Upgrade to 19.25 with patch 32209850, or leave LOBs out (source.oracle.lobs: false).',
    },
  ],
];

export function classify(error: OracleError): Entry {
  if (error.internal !== null) {
    const known = INTERNAL.find(([prefix]) => error.internal!.startsWith(prefix));
    return known?.[1] ?? { class: 'unknown', code: 'source.query-failed' };
  }
  if (error.pls.includes(201)) return GRANT;
  // The deepest cause decides: ORA-00604 and ORA-06550 only wrap another one, and so does the driver's NJS-500.
  const found = error.ora.map((number) => ORA.get(number)).filter((entry) => entry !== undefined);
  const cause = found.find((entry) => entry.class !== 'passing') ?? found[0];
  if (cause !== undefined) return cause;
  const njs = error.njs.map((number) => NJS.get(number)).filter((entry) => entry !== undefined);
  return njs.find((entry) => entry !== LOST) ?? njs[0] ?? { class: 'unknown', code: 'source.query-failed' };
}

/** In words of ours, since the server's may hold values of rows. */
const MEANINGS: ReadonlyMap<string, string> = new Map([
  ['ORA-18', 'the server has no session left'],
  ['ORA-20', 'the server has no process left'],
  ['ORA-600', 'an internal error of the server'],
  ['ORA-942', 'a table or view is not there, or may not be read'],
  ['ORA-1017', 'user or password is wrong'],
  ['ORA-1031', 'a privilege is missing'],
  ['ORA-1033', 'the database is starting up or shutting down'],
  ['ORA-1034', 'the database is down'],
  ['ORA-1089', 'the database is shutting down'],
  ['ORA-1109', 'the database is not open'],
  ['ORA-1291', 'a redo log is missing'],
  ['ORA-1325', 'the database does not archive its logs'],
  ['ORA-1354', 'supplemental logging is off'],
  ['ORA-1555', 'the undo of that SCN is gone'],
  ['ORA-3113', 'the connection broke'],
  ['ORA-3114', 'the connection broke'],
  ['ORA-3135', 'the connection broke'],
  ['ORA-4036', 'the server’s memory for sessions is used up'],
  ['ORA-28000', 'the account is locked'],
  ['ORA-28001', 'the password has expired'],
  ['ORA-65011', 'there is no such pluggable database'],
  ['ORA-65040', 'this is not allowed in a pluggable database'],
  ['NJS-100', 'the national character set is not AL16UTF16'],
  ['NJS-116', 'the account has only a password verifier of 10g'],
  ['NJS-123', 'the server did not answer in time'],
  ['NJS-138', 'the server is older than 12.1'],
  ['NJS-500', 'the connection broke'],
  ['NJS-503', 'the connection was refused'],
  ['NJS-510', 'the server does not answer'],
  ['NJS-518', 'the listener does not know the service'],
  ['NJS-519', 'the listener does not know the SID'],
  ['NJS-530', 'the host is not known'],
  ['NJS-533', 'the server requires native network encryption'],
]);

/**
 * Anything thrown while talking to Oracle, as a HeadwaterError; `what` is the start of a sentence. What is not
 * Oracle's passes through.
 */
export function mapOracleError(error: unknown, what: string): unknown {
  if (!(error instanceof OracleError)) return error;
  const { code, fix } = classify(error);
  const meaning = [...error.ora.map((n) => `ORA-${n}`), ...error.njs.map((n) => `NJS-${n}`)]
    .map((name) => MEANINGS.get(name))
    .find((text) => text !== undefined);
  const said = meaning === undefined ? error.message : `${meaning} (${error.message})`;
  return new HeadwaterError(code, `${what} failed: ${said}.`, {
    ...(fix === undefined ? {} : { fix }),
    details: { errors: error.message },
    cause: error,
  });
}

export const mapping = mappingBy(mapOracleError);

/** ORA-01555, 08180, 08181: its undo is gone. ORA-01466, 08103, 01410: DDL, TRUNCATE or a move came in between. */
export function pastIsGone(error: unknown): boolean {
  return error instanceof OracleError && error.has(1555, 8180, 8181, 1466, 8103, 1410);
}
