/**
 * What the live suite has in common: a real Oracle, a table of its own for each part, and the redo that is kept of it.
 * Needs ORACLE_URL (the reader's user, `?pdb=` in a multitenant database) and ORACLE_TEST_URL (an application user who
 * may create tables there); some parts ORACLE_ADMIN_URL, a user with the role DBA in CDB$ROOT.
 */
import { connectByDriver } from '../../../src/readers/oracle/session/driver-session.ts';
import type { ConnectOracle, OracleSession } from '../../../src/readers/oracle/session/oracle-session.ts';
import { SESSION_SETTINGS } from '../../../src/readers/oracle/session/session-settings.ts';
import { FakeOracle } from './fake-oracle.ts';
import { Harness } from './harness.ts';
import { Recording } from './recording.ts';

export const never = new AbortController().signal;
export const reader = serverOf(process.env['ORACLE_URL']!);
export const application = serverOf(process.env['ORACLE_TEST_URL'] ?? '');
export const SCHEMA = application.user.toUpperCase();
const { session: sql, version } = await connected();

/** The application user's session. */
export { sql };

async function connected(): Promise<{ readonly session: OracleSession; readonly version: string }> {
  const session = await application.connect('utility', never);
  for (const statement of SESSION_SETTINGS) await session.execute(statement);
  const [row] = await session.query(
    "SELECT VERSION_FULL FROM PRODUCT_COMPONENT_VERSION WHERE PRODUCT LIKE 'Oracle%' AND ROWNUM = 1",
  );
  process.stderr.write(`Oracle ${String(row?.[0])}\n`);
  return { session, version: String(row?.[0]) };
}

interface Server {
  readonly connect: ConnectOracle;
  readonly user: string;
  readonly pdb: string | null;
}

export function serverOf(url: string): Server {
  const parts = new URL(url.replace(/^oracle:/, 'http:'));
  const user = decodeURIComponent(parts.username);
  return {
    connect: connectByDriver({
      hosts: [{ host: parts.hostname, port: Number(parts.port || 1521) }],
      service: parts.pathname.slice(1),
      user,
      password: decodeURIComponent(parts.password),
      tls: null,
      connectTimeoutMs: 20_000,
      queryTimeoutMs: 600_000,
    }),
    user,
    pdb: parts.searchParams.get('pdb'),
  };
}

export async function run(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.execute(statement);
}

export async function create(name: string, columns: string, storage = ''): Promise<void> {
  await sql.execute(`DROP TABLE ${name} PURGE`).catch(() => undefined);
  await run(
    `CREATE TABLE ${name} (${columns}) ${storage}`,
    `ALTER TABLE ${name} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS`,
  );
}

export interface Live {
  readonly harness: Harness;
  readonly recording: Recording;
  /** Until the stream has passed everything that is committed now. */
  catchUp(): Promise<void>;
}

export async function live(
  tables: readonly string[],
  tweaks: ConstructorParameters<typeof Harness>[1] = {},
): Promise<Live> {
  const recording = new Recording();
  const patterns = tables.map((name) => `${SCHEMA}.${name}`);
  const limits = { idleMs: 200, logRetryMs: 1_000, ...tweaks?.limits };
  const harness = new Harness(
    new FakeOracle(),
    { tables: patterns, pdb: reader.pdb, ...tweaks, limits },
    null,
    recording.wrap(reader.connect),
  );
  await harness.open();
  return {
    harness,
    recording,
    catchUp: async () => {
      // An idle instance does not flush: a commit of its own makes it.
      await create('HEADWATER_TICK', 'ID NUMBER');
      await run('INSERT INTO HEADWATER_TICK VALUES (1)', 'COMMIT');
      const head = await harness.reader!.head(never);
      await harness.poll(head.position.upTo);
    },
  };
}

const columnsOf = async (name: string): Promise<Record<string, string>> => {
  const rows = await sql.query(
    `SELECT COLUMN_NAME, DATA_TYPE, TO_CHAR(DATA_PRECISION), TO_CHAR(DATA_SCALE), TO_CHAR(CHAR_LENGTH) FROM USER_TAB_COLUMNS WHERE TABLE_NAME = :t ORDER BY COLUMN_ID`,
    { t: name },
  );
  return Object.fromEntries(
    rows.map(([column, type, precision, scale, length]) => {
      const text = String(type);
      if (text.endsWith('CHAR2') || text.endsWith('CHAR'))
        return [String(column), `${text}(${String(length)})`];
      return [
        String(column),
        text === 'NUMBER' && precision != null ? `NUMBER(${String(precision)},${String(scale)})` : text,
      ];
    }),
  );
};

export async function keep(
  { harness, recording }: Live,
  id: string,
  title: string,
  names: readonly string[],
): Promise<void> {
  const tables: Record<string, { columns: Record<string, string>; pk: string[] }> = {};
  for (const name of names) tables[`${SCHEMA}.${name}`] = { columns: await columnsOf(name), pk: ['ID'] };
  const origin = `Oracle ${version}, ${new Date().toISOString().slice(0, 10)}`;
  const config = { lobs: harness.options.lobs };
  const file = recording.save({ id, title, origin, config, tables }, harness.events, harness.warnings);
  process.stderr.write(`${title}: ${recording.rows.length} rows of redo in ${file}\n`);
}
