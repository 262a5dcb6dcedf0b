import { failed, failedBy, ok, warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import type { TablePatterns } from '../table-patterns.ts';
import type { CheckedDatabase } from './checked-database.ts';
import { CHARACTER_SETS, readDatabase } from './database.ts';
import { mapOracleError } from './errors.ts';
import { checkLogging, checkLogs } from './preflight-log.ts';
import { checkDictionary, checkPrivileges, readable } from './preflight-privileges.ts';
import { checkTables } from './preflight-tables.ts';
import { quoteIdent } from './quoting.ts';
import type { ConnectOracle } from './session/oracle-session.ts';
import type { OracleReaderOptions } from './settings.ts';
import { isDecodable } from './types/character-sets.ts';

const WHO = `SELECT SYS_CONTEXT('USERENV','CON_NAME'), SYS_CONTEXT('USERENV','SESSION_USER'), SYS_CONTEXT('USERENV','CLOUD_SERVICE') FROM DUAL`;
const PDB = 'SELECT OPEN_MODE FROM V$PDBS WHERE NAME = :pdb';
const VERSION = `SELECT MAX(VERSION) FROM PRODUCT_COMPONENT_VERSION WHERE PRODUCT LIKE 'Oracle%'`;

/** Everything that can be known beforehand; changes nothing. Describes rather than throws. */
export async function preflight(
  connect: ConnectOracle,
  options: OracleReaderOptions,
  patterns: TablePatterns,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    await using session = await connect('utility', signal);
    const [who] = await session.query(WHO);
    const [container, user, cloud] = who!.map((value) => (value === null ? '' : String(value)));
    const [version] = await session.query(VERSION);
    findings.push(
      ok('connection', `Connected to ${options.place} (Oracle ${String(version?.[0])}) as ${user!}.`),
    );
    if (!(await readable(session, 'V$DATABASE', { options, user: user!, findings }))) {
      return findings;
    }
    const database = await readDatabase(session);
    const checked: CheckedDatabase = {
      session,
      connect,
      options,
      database,
      user: user!,
      findings,
      signal,
    };
    await checkContainer(checked, container!, cloud!);
    if (findings.some(({ level }) => level === 'error')) return findings; // nothing else would be looked at in the right place
    checkLogging(checked);
    await checkPrivileges(checked);
    await checkDictionary(checked);
    await checkLogs(checked);
    await checkCharacterSets(checked);
    if (!findings.some(({ level }) => level === 'error')) await checkTables(checked, patterns);
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapOracleError(error, `Checking ${options.place}`);
    findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'checks'));
  }
  return findings;
}

async function checkContainer(
  { session, options, database, findings }: CheckedDatabase,
  container: string,
  cloud: string,
): Promise<void> {
  const { pdb } = options;
  if (cloud !== '') {
    findings.push(
      warning(
        'container',
        `This is the cloud service ${cloud}: LogMiner’s ADD_LOGFILE may not be available.`,
      ),
    );
  }
  if (!database.multitenant) {
    if (pdb !== null) {
      findings.push(
        failed(
          'container',
          'source.container',
          `source.oracle.pdb names ${pdb}, and ${database.name} is not a multitenant database.`,
          'Remove source.oracle.pdb.',
        ),
      );
    }
    return;
  }
  if (container !== 'CDB$ROOT') {
    findings.push(
      failed(
        'container',
        'source.container',
        `The session is in the container ${container}; LogMiner runs in CDB$ROOT.`,
        `Let source.url name a service of CDB$ROOT and a common user (C##…), and source.oracle.pdb the PDB${pdb === null ? ` ${container}` : ''}.`,
      ),
    );
  } else if (pdb === null) {
    findings.push(
      warning('container', 'source.oracle.pdb is not set: only tables of CDB$ROOT itself are captured.'),
    );
  } else {
    const [row] = await session.query(PDB, { pdb });
    if (row === undefined || !String(row[0]).startsWith('READ')) {
      findings.push(
        failed(
          'container',
          'source.container',
          row === undefined ? `There is no PDB ${pdb}.` : `The PDB ${pdb} is ${String(row[0])}.`,
          row === undefined ? undefined : `ALTER PLUGGABLE DATABASE ${quoteIdent(pdb)} OPEN;`,
        ),
      );
    } else {
      findings.push(ok('container', `LogMiner runs in CDB$ROOT; the PDB ${pdb} is open.`));
    }
  }
}

async function checkCharacterSets({ session, findings }: CheckedDatabase): Promise<void> {
  const sets = new Map(
    (await session.query(CHARACTER_SETS)).map(([name, value]) => [String(name), String(value)]),
  );
  const set = String(sets.get('NLS_CHARACTERSET'));
  const national = sets.get('NLS_NCHAR_CHARACTERSET');
  if (national !== undefined && national !== 'AL16UTF16') {
    findings.push(
      warning(
        'character sets',
        `The national character set is ${national}; the driver’s thin mode reads NCHAR, NVARCHAR2 and NCLOB in AL16UTF16 only.`,
      ),
    );
  } else if (!isDecodable(set)) {
    findings.push(
      warning(
        'character sets',
        `Texts that LogMiner shows as bytes of ${set}, as of before a DDL, cannot be read.`,
      ),
    );
  } else {
    findings.push(ok('character sets', `The database character set is ${set}.`));
  }
}
