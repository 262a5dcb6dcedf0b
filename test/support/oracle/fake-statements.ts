import {
  OracleError,
  type OracleRow,
  type OracleValue,
} from '../../../src/readers/oracle/session/oracle-session.ts';
import type { FakeRedo, FakeTable } from './fake-oracle.ts';
import type { Handler } from './fake-session.ts';

const NONE: readonly OracleRow[] = [];

function text(value: bigint | number | null): string | null {
  return value === null ? null : String(value);
}

/** Statement → what the server does; in texts of its own. */
export const HANDLERS: readonly (readonly [RegExp, Handler])[] = [
  [
    /^ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS\.FF9' NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS\.FF9 TZH:TZM' NLS_NUMERIC_CHARACTERS = '\.,'$/,
    function () {
      this.nls = true;
      return NONE;
    },
  ],
  [
    /^ALTER SESSION SET TIME_ZONE = '00:00'$/,
    function () {
      this.zone = true;
      return NONE;
    },
  ],
  [
    /^ALTER SESSION SET CONTAINER = "([^"]+)"$/,
    function (match) {
      if (match[1] !== this.server.pdb)
        throw new OracleError('ORA-65011: Pluggable database does not exist.');
      if (this.server.pdbMode === 'MOUNTED') throw new OracleError('ORA-01109: database not open');
      this.container = match[1]!;
      return NONE;
    },
  ],
  [
    /^SELECT NAME, TO_CHAR\(DBID\), CDB, LOG_MODE, DATABASE_ROLE, OPEN_MODE, TO_CHAR\(RESETLOGS_CHANGE#\), TO_CHAR\(RESETLOGS_TIME,'YYYY-MM-DD HH24:MI:SS'\), SUPPLEMENTAL_LOG_DATA_MIN, SUPPLEMENTAL_LOG_DATA_PK, SUPPLEMENTAL_LOG_DATA_ALL, TO_CHAR\(CURRENT_SCN\) FROM V\$DATABASE$/,
    function () {
      const s = this.server;
      return [
        [
          s.name,
          s.dbid,
          s.pdb === null && s.sessionContainer === 'CDB$ROOT' ? 'NO' : 'YES',
          s.logMode,
          s.role,
          s.openMode,
          s.resetlogs,
          '2024-01-01 00:00:00',
          s.minimalLogging,
          s.keyLogging,
          s.allColumnLogging,
          text(s.currentScn),
        ],
      ];
    },
  ],
  [
    /^SELECT SYS_CONTEXT\('USERENV','CON_NAME'\), SYS_CONTEXT\('USERENV','SESSION_USER'\), SYS_CONTEXT\('USERENV','CLOUD_SERVICE'\) FROM DUAL$/,
    function () {
      return [[this.container, 'C##CDC', this.server.cloud]];
    },
  ],
  [
    /^SELECT OPEN_MODE FROM V\$PDBS WHERE NAME = :pdb$/,
    function (_, binds) {
      return binds['pdb'] === this.server.pdb ? [[this.server.pdbMode]] : NONE;
    },
  ],
  [
    /^SELECT PRIVILEGE FROM SESSION_PRIVS$/,
    function () {
      return [...this.server.privileges].map((privilege) => [privilege]);
    },
  ],
  [
    /^SELECT 1 FROM (G?V\$[A-Z_]+) WHERE ROWNUM = 1$/,
    function (match) {
      if (this.server.unreadable.has(match[1]!))
        throw new OracleError('ORA-00942: table or view does not exist');
      if (match[1] === 'V$LOGMNR_CONTENTS')
        throw new OracleError('ORA-01306: dbms_logmnr.start_logmnr() must be invoked');
      return [['1']];
    },
  ],
  [
    /^BEGIN SYS\.DBMS_LOGMNR\.END_LOGMNR; END;$/,
    function () {
      this.root();
      if (!this.server.mayMine)
        throw new OracleError("ORA-06550: line 1 PLS-00201: identifier 'SYS.DBMS_LOGMNR' must be declared");
      if (this.mining === null) throw new OracleError('ORA-01307: no LogMiner session is currently active');
      this.mining = null;
      this.server.miningSessions--;
      return NONE;
    },
  ],
  [
    /^SELECT DEST_NAME FROM V\$ARCHIVE_DEST_STATUS WHERE STATUS = 'VALID' AND TYPE = 'LOCAL'$/,
    function () {
      this.root();
      return this.server.destinations.map((name) => [name]);
    },
  ],
  [
    /^SELECT TO_CHAR\(THREAD#\), STATUS, ENABLED, TO_CHAR\(CHECKPOINT_CHANGE#\), TO_CHAR\(ENABLE_CHANGE#\), TO_CHAR\(DISABLE_CHANGE#\), TO_CHAR\(LAST_REDO_CHANGE#\) FROM V\$THREAD$/,
    function () {
      this.root();
      return this.server.threads.map((t) => [
        text(t.thread),
        t.open ? 'OPEN' : 'CLOSED',
        t.enabled,
        text(t.checkpoint),
        text(t.enabledAt),
        text(t.disabledAt),
        text(this.server.lastOf(t)),
      ]);
    },
  ],
  [
    /^(SELECT MIN\(F\.MEMBER\), TO_CHAR\(L\.FIRST_CHANGE#\), NULL, TO_CHAR\(L\.SEQUENCE#\), TO_CHAR\(L\.THREAD#\), TO_CHAR\(L\.BYTES\), NULL FROM V\$LOGFILE F, V\$LOG L WHERE L\.STATUS = 'CURRENT' AND F\.GROUP# = L\.GROUP# AND F\.TYPE = 'ONLINE' GROUP BY L\.GROUP#, L\.FIRST_CHANGE#, L\.SEQUENCE#, L\.THREAD#, L\.BYTES UNION ALL )?SELECT A\.NAME, TO_CHAR\(A\.FIRST_CHANGE#\), TO_CHAR\(A\.NEXT_CHANGE#\), TO_CHAR\(A\.SEQUENCE#\), TO_CHAR\(A\.THREAD#\), TO_CHAR\(A\.BLOCKS\*A\.BLOCK_SIZE\), S\.DEST_NAME FROM V\$ARCHIVED_LOG A, V\$DATABASE D, V\$ARCHIVE_DEST_STATUS S WHERE A\.DEST_ID = S\.DEST_ID AND S\.DEST_NAME IN \(([^)]*)\) AND A\.STATUS = 'A' AND A\.RESETLOGS_CHANGE# = D\.RESETLOGS_CHANGE# AND A\.RESETLOGS_TIME = D\.RESETLOGS_TIME AND A\.NAME IS NOT NULL AND A\.ARCHIVED = 'YES' AND A\.NEXT_CHANGE# > (\d+)$/,
    function (match) {
      this.root();
      const s = this.server;
      const scn = BigInt(match[3]!);
      const named = match[2]!.split(',').map((name) => name.slice(1, -1));
      return s.logs
        .filter(
          (log) =>
            (log.state === 'current' && match[1] !== undefined) ||
            (log.state === 'archived' && named.includes(log.destination) && log.next! > scn),
        )
        .map((log) => [
          s.fileName(log),
          text(log.first),
          text(log.next),
          text(log.sequence),
          text(log.thread),
          text(log.bytes),
          log.state === 'archived' ? log.destination : null,
        ]);
    },
  ],
  [
    /^SELECT TO_CHAR\(MIN\(F\)\) FROM \((SELECT MIN\(FIRST_CHANGE#\) F FROM V\$LOG UNION ALL )?SELECT MIN\(A\.FIRST_CHANGE#\) F FROM V\$ARCHIVED_LOG A, V\$DATABASE D, V\$ARCHIVE_DEST_STATUS S WHERE .* AND A\.STATUS = 'A' AND A\.RESETLOGS_CHANGE# = D\.RESETLOGS_CHANGE# AND A\.RESETLOGS_TIME = D\.RESETLOGS_TIME\)$/,
    function () {
      this.root();
      const there = this.server.logs.filter(({ state }) => state !== 'deleted').map(({ first }) => first);
      return [[there.length === 0 ? null : text(there.reduce((a, b) => (a < b ? a : b)))]];
    },
  ],
  [
    /^SELECT TO_CHAR\(A\.THREAD#\), TO_CHAR\(A\.SEQUENCE#\), A\.NAME FROM V\$ARCHIVED_LOG A, V\$DATABASE D WHERE A\.STATUS = 'D' AND A\.FIRST_CHANGE# <= (\d+) AND A\.NEXT_CHANGE# > (\d+) AND A\.RESETLOGS_CHANGE# = D\.RESETLOGS_CHANGE# AND A\.RESETLOGS_TIME = D\.RESETLOGS_TIME$/,
    function (match) {
      this.root();
      const scn = BigInt(match[1]!);
      return this.server.logs
        .filter(({ state, first, next }) => state === 'deleted' && first <= scn && next! > scn)
        .map((log) => [text(log.thread), text(log.sequence), this.server.fileName(log)]);
    },
  ],
  [
    /^SELECT A\.NAME FROM V\$ARCHIVED_LOG A, V\$DATABASE D WHERE A\.THREAD# = (\d+) AND A\.SEQUENCE# = (\d+) AND A\.NEXT_CHANGE# <= (\d+) AND A\.RESETLOGS_CHANGE# = D\.RESETLOGS_CHANGE# AND A\.RESETLOGS_TIME = D\.RESETLOGS_TIME$/,
    function (match) {
      this.root();
      return this.server.logs
        .filter(
          (log) =>
            log.thread === Number(match[1]) &&
            log.sequence === Number(match[2]) &&
            log.next !== null &&
            log.next <= BigInt(match[3]!),
        )
        .map((log) => [this.server.fileName(log)]);
    },
  ],
  [
    /^BEGIN SYS\.DBMS_LOGMNR_D\.BUILD\(OPTIONS => SYS\.DBMS_LOGMNR_D\.STORE_IN_REDO_LOGS\); END;$/,
    function () {
      this.root();
      const s = this.server;
      if (!s.mayBuild)
        throw new OracleError("ORA-06550: line 1 PLS-00201: identifier 'SYS.DBMS_LOGMNR_D' must be declared");
      s.dictionaries++;
      const current = s.logs.find(({ state, thread }) => state === 'current' && thread === 1)!;
      current.dictionary = true;
      s.currentScn += 1n;
      s.switchLog(1, s.currentScn, { archive: s.dictionaryDelay === 0 });
      s.logs.at(-1)!.dictionary = false;
      return NONE;
    },
  ],
  [
    /^SELECT TO_CHAR\(THREAD#\), TO_CHAR\(SEQUENCE#\) FROM V\$LOG WHERE STATUS = 'CURRENT' ORDER BY THREAD#$/,
    function () {
      this.root();
      return this.server.logs
        .filter(({ state }) => state === 'current')
        .map(({ thread, sequence }) => [text(thread), text(sequence)]);
    },
  ],
  [
    /^SELECT TO_CHAR\(A\.THREAD#\), TO_CHAR\(A\.SEQUENCE#\), TO_CHAR\(A\.FIRST_CHANGE#\), TO_CHAR\(A\.NEXT_CHANGE#\), A\.DICTIONARY_BEGIN, A\.DICTIONARY_END FROM V\$ARCHIVED_LOG A, .* AND A\.ARCHIVED = 'YES' AND \(A\.DICTIONARY_BEGIN = 'YES' OR A\.DICTIONARY_END = 'YES'\) AND A\.NEXT_CHANGE# <= (\d+)$/,
    function (match) {
      this.root();
      const s = this.server;
      if (s.dictionaries > 0 && s.dictionaryDelay > 0 && --s.dictionaryDelay === 0) s.archive(1);
      return s.logs
        .filter(
          ({ state, dictionary, next }) =>
            state === 'archived' && dictionary === true && next! <= BigInt(match[1]!),
        )
        .map((log) => [text(log.thread), text(log.sequence), text(log.first), text(log.next), 'YES', 'YES']);
    },
  ],
  [
    /^SELECT 1 FROM ALL_PROCEDURES WHERE OWNER = 'SYS' AND OBJECT_NAME = 'DBMS_LOGMNR_D' AND ROWNUM = 1$/,
    function () {
      return this.server.mayBuild ? [['1']] : NONE;
    },
  ],
  [
    /^SELECT THREAD# FROM V\$THREAD$/,
    function () {
      this.root();
      return this.server.threads.map(({ thread }) => [text(thread)]);
    },
  ],
  [
    /^SELECT MAX\(VERSION\) FROM PRODUCT_COMPONENT_VERSION WHERE PRODUCT LIKE 'Oracle%'$/,
    function () {
      return [['19.0.0.0.0']];
    },
  ],
  [
    /^SELECT FILENAME, TO_CHAR\(LOW_SCN\), TO_CHAR\(NEXT_SCN\), TO_CHAR\(THREAD_ID\), TO_CHAR\(STATUS\), INFO FROM V\$LOGMNR_LOGS$/,
    function () {
      this.root();
      return (this.mining?.files ?? []).map((log) => [
        this.server.fileName(log),
        text(log.first),
        text(log.next),
        text(log.thread),
        '0',
        null,
      ]);
    },
  ],
  [
    /^SELECT (.*) FROM "([^"]+)"\."([^"]+)"(?: AS OF SCN (\d+))? T WHERE (T\."[^"]+" = .*)$/s,
    function (match, binds, sql) {
      const s = this.server;
      if (this.use !== 'catalogue') s.violate('a row is read again in another session than the catalogue’s');
      s.raise('RESELECT', sql);
      const [, columns = '', owner = '', name = '', scn, where = ''] = match;
      const table = this.table({ o: owner, t: name });
      if (table === undefined) throw new OracleError('ORA-00942: table or view does not exist');
      if (scn !== undefined && BigInt(scn) < table.undoHorizon)
        throw new OracleError('ORA-01555: snapshot too old');
      const names = [...columns.matchAll(/T\."([^"]+)"/g)].map((each) => each[1]!);
      const wanted = where
        .split(' AND ')
        .map((each) => /^T\."([^"]+)" = (?:TO_NUMBER\()?:(k\d+)\)?$/.exec(each));
      return rowsAt(table, scn === undefined ? s.currentScn : BigInt(scn))
        .filter(({ values }) =>
          wanted.every((each) => each !== null && String(values[each[1]!]) === binds[each[2]!]),
        )
        .map(({ values }) => names.map((column) => values[column] ?? null));
    },
  ],
  [
    /^SELECT TO_CHAR\(MAX\(BYTES\)\) FROM V\$LOG$/,
    function () {
      this.root();
      return [[text(this.server.logBytes)]];
    },
  ],
  [
    /^SELECT TO_CHAR\(BYTES\) FROM V\$LOG$/,
    function () {
      this.root();
      return this.server.logs.filter(({ state }) => state === 'current').map(({ bytes }) => [text(bytes)]);
    },
  ],
  [
    /^SELECT TO_CHAR\(COUNT\(\*\)\) FROM V\$LOG_HISTORY WHERE FIRST_TIME > SYSDATE - 1$/,
    function () {
      this.root();
      return [['4']];
    },
  ],
  [
    /^BEGIN SYS\.DBMS_LOGMNR\.ADD_LOGFILE\(LOGFILENAME => '([^']*)', OPTIONS => DBMS_LOGMNR\.(NEW|ADDFILE)\); END;$/,
    function (match, _binds, sql) {
      this.root();
      const s = this.server;
      if (this.use !== 'mining') s.violate('LogMiner in a session that is not for mining');
      s.raise('ADD_LOGFILE', sql);
      const log = s.logs.find((each) => each.state !== 'deleted' && s.fileName(each) === match[1]);
      if (log === undefined)
        throw new OracleError('ORA-01284: file cannot be opened ORA-00308: cannot open archived log');
      const before = match[2] === 'NEW' ? null : this.mining;
      if (match[2] === 'ADDFILE' && before === null)
        throw new OracleError('ORA-01307: no LogMiner session is currently active');
      if (before?.names.includes(match[1]!) === true)
        throw new OracleError('ORA-01289: cannot add duplicate log file');
      if (before?.files.some((each) => each.thread === log.thread && each.sequence === log.sequence) === true)
        throw new OracleError('ORA-01289: cannot add duplicate log file');
      if (this.mining === null) s.miningSessions++;
      this.mining = {
        files: [...(before?.files ?? []), log],
        names: [...(before?.names ?? []), match[1]!],
        from: 0n,
        to: 0n,
        started: false,
      };
      return NONE;
    },
  ],
  [
    /^BEGIN SYS\.DBMS_LOGMNR\.START_LOGMNR\(STARTSCN => '(\d+)', ENDSCN => '(\d+)', OPTIONS => (DBMS_LOGMNR\.DICT_FROM_ONLINE_CATALOG|DBMS_LOGMNR\.DICT_FROM_REDO_LOGS \+ DBMS_LOGMNR\.DDL_DICT_TRACKING) \+ DBMS_LOGMNR\.NO_ROWID_IN_STMT\); END;$/,
    function (match, _binds, sql) {
      this.root();
      const s = this.server;
      const { mining } = this;
      s.raise('START_LOGMNR', sql);
      if (mining === null)
        throw new OracleError('ORA-01292: no log file has been specified for the current LogMiner session');
      const [from, to] = [BigInt(match[1]!), BigInt(match[2]!)];
      if (to <= from) throw new OracleError('ORA-01281: SCN range specified is invalid');
      if (
        match[3]!.includes('REDO_LOGS') &&
        !mining.files.some(({ dictionary, next }) => dictionary === true && next! <= from + 1n)
      )
        throw new OracleError('ORA-01371: Complete LogMiner dictionary not found');
      if (to > s.currentScn) s.violate(`mining to ${to}, past the current SCN ${s.currentScn}`);
      if (
        mining.files.some(
          ({ state }, i) => state === 'deleted' || s.fileName(mining.files[i]!) !== mining.names[i],
        )
      )
        throw new OracleError('ORA-01284: file cannot be opened ORA-00308: cannot open archived log');
      for (const thread of s.threads) {
        if (!thread.open || thread.enabled !== 'PUBLIC') continue;
        const logs = mining.files
          .filter((log) => log.thread === thread.thread)
          .sort((a, b) => a.sequence - b.sequence);
        const start = thread.enabledAt > from ? thread.enabledAt : from;
        const all = s.logs.filter(
          (log) => log.thread === thread.thread && (log.next === null || log.next > start) && log.first <= to,
        );
        if (all.some((log) => !logs.some(({ sequence }) => sequence === log.sequence)))
          throw new OracleError('ORA-01291: missing log file');
      }
      this.mining = { ...mining, from, to, started: true };
      return NONE;
    },
  ],
  [
    /^SELECT TO_CHAR\(SCN\), TO_CHAR\(THREAD#\), RS_ID, TO_CHAR\(SSN\), RAWTOHEX\(XID\), TO_CHAR\(OPERATION_CODE\), TO_CHAR\(TIMESTAMP,'YYYY-MM-DD HH24:MI:SS'\), TO_CHAR\(ROLLBACK\), TO_CHAR\(CSF\), TO_CHAR\(STATUS\), INFO, SEG_OWNER, TABLE_NAME, ROW_ID, TO_CHAR\(DATA_OBJ#\), TO_CHAR\(DATA_OBJD#\), USERNAME, SQL_REDO FROM V\$LOGMNR_CONTENTS WHERE SCN > TO_NUMBER\(:low\) AND SCN <= TO_NUMBER\(:high\)( AND SRC_CON_NAME = :pdb)? AND \(OPERATION_CODE IN \(6,7,34,36\) OR \(OPERATION_CODE IN \(([0-9,]+)\) AND \(SEG_OWNER IS NULL OR SEG_OWNER NOT IN \([^)]*'SYS'[^)]*\)\) AND \(TABLE_NAME IS NULL OR SEG_OWNER\|\|'\.'\|\|TABLE_NAME IN \((.*?)\)( OR TABLE_NAME LIKE 'OBJ#%' OR TABLE_NAME LIKE 'BIN\$%' OR TABLE_NAME = 'UNKNOWN')?\)\) OR \(OPERATION_CODE = 5 AND \(INFO IS NULL OR INFO NOT LIKE 'INTERNAL DDL%'\) AND .*?\)( OR \(OPERATION_CODE = 0 AND ROLLBACK = 0 AND ROW_ID NOT LIKE '%AAAAAAAAAAAA'\))?\)$/s,
    function (match, binds) {
      this.root();
      const s = this.server;
      const { mining } = this;
      if (mining === null || !mining.started)
        throw new OracleError('ORA-01306: dbms_logmnr.start_logmnr() must be invoked');
      if ((match[1] !== undefined) !== (s.pdb !== null) || (binds['pdb'] ?? null) !== s.pdb)
        s.violate('the container is not asked for as it should be');
      const [low, high] = [BigInt(String(binds['low'])), BigInt(String(binds['high']))];
      if (low < mining.from || high !== mining.to)
        s.violate(`rows of ${low} to ${high} from a session of ${mining.from} to ${mining.to}`);
      const codes = new Set([6, 7, 34, 36, 5, ...match[2]!.split(',').map(Number)]);
      const ends = match[5] !== undefined;
      const names = new Set(match[3]!.split(',').map((name) => name.slice(1, -1)));
      const rows: OracleRow[] = [];
      for (const row of s.redo) {
        const scn = BigInt(row.SCN);
        if (scn <= low || scn > high) continue;
        const internal = row.OPERATION_CODE === 0;
        if (internal ? !ends || row.ROLLBACK === 1 : !codes.has(row.OPERATION_CODE)) continue;
        if (internal && (row.ROW_ID ?? 'AAAAAAAAAAAA').endsWith('AAAAAAAAAAAA')) continue;
        if (s.pdb !== null && row.container !== undefined && row.container !== s.pdb) continue;
        const thread = row['THREAD#'] ?? 1;
        if (
          !mining.files.some(
            (log) => log.thread === thread && log.first <= scn && (log.next === null || log.next > scn),
          )
        )
          continue;
        const table = row.TABLE_NAME;
        const always = [6, 7, 34, 36].includes(row.OPERATION_CODE);
        if (
          !always &&
          table !== undefined &&
          !names.has(`${row.SEG_OWNER ?? ''}.${table}`) &&
          !/^(OBJ#|BIN\$|UNKNOWN$)/.test(table)
        )
          continue;
        rows.push(...printed(row));
      }
      return rows;
    },
  ],
  [
    /^SELECT TO_CHAR\(M\.VALUE\) FROM V\$STATNAME N, V\$MYSTAT M WHERE N\.STATISTIC# = M\.STATISTIC# AND N\.NAME = 'session pga memory'$/,
    function () {
      return [[text(this.server.sessionMemory)]];
    },
  ],
  [
    /^SELECT OWNER, TABLE_NAME, IOT_TYPE, NESTED, TEMPORARY, TO_CHAR\(NUM_ROWS\) FROM ALL_TABLES WHERE OWNER NOT IN \(.*'SYS','SYSTEM'.*\) ORDER BY OWNER, TABLE_NAME$/,
    function () {
      return this.catalogue().map((t) => [
        t.owner,
        t.name,
        t.indexOrganized === true ? 'IOT' : (t.iotType ?? null),
        'NO',
        t.temporary === true ? 'Y' : 'N',
        t.neverAnalysed === true ? null : text(rowsAt(t, this.server.currentScn).length),
      ]);
    },
  ],
  [
    /^SELECT LOG_GROUP_TYPE FROM ALL_LOG_GROUPS WHERE OWNER = :o AND TABLE_NAME = :t$/,
    function (_, binds) {
      return this.table(binds)?.allColumns === true ? [['ALL COLUMN LOGGING']] : NONE;
    },
  ],
  [
    /^SELECT COLUMN_NAME, DATA_TYPE, TO_CHAR\(DATA_LENGTH\), TO_CHAR\(CHAR_LENGTH\), TO_CHAR\(DATA_PRECISION\), TO_CHAR\(DATA_SCALE\), NULLABLE, HIDDEN_COLUMN, VIRTUAL_COLUMN, DATA_TYPE_OWNER, DATA_DEFAULT FROM ALL_TAB_COLS WHERE OWNER = :o AND TABLE_NAME = :t ORDER BY INTERNAL_COLUMN_ID$/,
    function (_, binds) {
      return (this.table(binds)?.columns ?? []).flatMap((c, i) => {
        // What an object type holds is in a column behind it.
        const object = OBJECT_TYPES.has(c.type);
        const row = [
          c.name,
          c.type,
          text(c.length),
          text(c.length ?? 0),
          text(c.precision),
          text(c.scale),
          c.nullable ? 'Y' : 'N',
          c.hidden === true ? 'YES' : 'NO',
          c.virtual === true || object ? 'YES' : 'NO',
          object ? 'SYS' : null,
          c.expression,
        ];
        const behind = [`SYS_NC0000${i}$`, 'BLOB', '4000', '0', null, null, 'Y', 'YES', 'NO', null, null];
        return object ? [row, behind] : [row];
      });
    },
  ],
  [
    /^SELECT CC\.COLUMN_NAME FROM ALL_CONSTRAINTS C JOIN ALL_CONS_COLUMNS CC ON CC\.OWNER = C\.OWNER AND CC\.CONSTRAINT_NAME = C\.CONSTRAINT_NAME WHERE C\.CONSTRAINT_TYPE = 'P' AND C\.OWNER = :o AND C\.TABLE_NAME = :t ORDER BY CC\.POSITION$/,
    function (_, binds) {
      return (this.table(binds)?.key ?? []).map((name) => [name]);
    },
  ],
  [
    /^SELECT I\.INDEX_NAME, IC\.COLUMN_NAME FROM ALL_INDEXES I JOIN ALL_IND_COLUMNS IC ON IC\.INDEX_OWNER = I\.OWNER AND IC\.INDEX_NAME = I\.INDEX_NAME WHERE I\.UNIQUENESS = 'UNIQUE' AND I\.TABLE_OWNER = :o AND I\.TABLE_NAME = :t ORDER BY I\.INDEX_NAME, IC\.COLUMN_POSITION$/,
    function (_, binds) {
      return (this.table(binds)?.uniqueIndexes ?? []).flatMap((columns, i) =>
        columns.map((column) => [`U${i}`, column]),
      );
    },
  ],
  [
    /^SELECT TO_CHAR\(OBJECT_ID\), TO_CHAR\(DATA_OBJECT_ID\), OBJECT_TYPE FROM ALL_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND OBJECT_TYPE IN \('TABLE','TABLE PARTITION','TABLE SUBPARTITION'\)$/,
    function (_, binds) {
      const table = this.table(binds);
      return table === undefined ? NONE : [[table.objectId, table.dataObjectId, 'TABLE']];
    },
  ],
  [
    /^SELECT TO_CHAR\(D\.CURRENT_SCN\), TO_CHAR\(T\.START_SCN\) FROM V\$DATABASE D LEFT OUTER JOIN (G?V\$TRANSACTION) T ON T\.START_SCN < D\.CURRENT_SCN$/,
    function (match) {
      this.root();
      const s = this.server;
      if ((match[1] === 'GV$TRANSACTION') !== s.threads.length > 1)
        s.violate(`${match[1]} with ${s.threads.length} threads`);
      return s.openTransactions.length === 0
        ? [[text(s.currentScn), null]]
        : s.openTransactions.map((start) => [text(s.currentScn), text(start)]);
    },
  ],
  [
    /^SELECT TO_CHAR\(CURRENT_SCN\) FROM V\$DATABASE$/,
    function () {
      return [[text(this.server.currentScn)]];
    },
  ],
  [
    /^SELECT TO_CHAR\(SYSTIMESTAMP,'TZH:TZM'\) FROM DUAL$/,
    function () {
      return [[this.server.clock]];
    },
  ],
  [
    /^SELECT PARAMETER, VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER IN \('NLS_CHARACTERSET','NLS_NCHAR_CHARACTERSET'\)$/,
    function () {
      return [
        ['NLS_CHARACTERSET', this.server.characterSet],
        ['NLS_NCHAR_CHARACTERSET', this.server.nationalCharacterSet],
      ];
    },
  ],
  [
    /^CREATE TABLE "[^"]+" \(LAST_SCN NUMBER\(19,0\)\)$/,
    function (_, _binds, sql) {
      this.server.raise('FLUSH', sql);
      if (!this.server.flushTable.writable) throw new OracleError('ORA-01950: no privileges on tablespace');
      throw new OracleError('ORA-00955: name is already used by an existing object');
    },
  ],
  [
    /^INSERT INTO "[^"]+" SELECT 0 FROM DUAL WHERE NOT EXISTS \(SELECT 1 FROM "[^"]+"\)$/,
    function () {
      this.server.flushTable.rows ||= 1;
      return NONE;
    },
  ],
  [
    /^DELETE FROM ("[^"]+") WHERE ROWID <> \(SELECT MIN\(ROWID\) FROM \1\)$/,
    function () {
      this.server.flushTable.rows = 1;
      return NONE;
    },
  ],
  [
    /^UPDATE "[^"]+" SET LAST_SCN = (\d+)$/,
    function (match, _binds, sql) {
      this.server.raise('FLUSH', sql);
      if (this.server.flushTable.rows !== 1) this.server.violate('the flush table has no row');
      this.server.flushTable.scn = BigInt(match[1]!);
      return NONE;
    },
  ],
  [
    /^COMMIT$/,
    function () {
      if (this.use !== 'flush') this.server.violate('a commit in a session that only reads');
      return NONE;
    },
  ],
];

const OBJECT_TYPES: ReadonlySet<string> = new Set(['XMLTYPE', 'SDO_GEOMETRY']);

/** The rows of the view for one row of redo: texts over 4,000 characters go on. */
function printed(row: FakeRedo): OracleRow[] {
  const pieces: (string | null)[] = [];
  const { SQL_REDO: sql = null } = row;
  if (sql === null || sql.length <= 4000) pieces.push(sql);
  else for (let at = 0; at < sql.length; at += 4000) pieces.push(sql.slice(at, at + 4000));
  return pieces.map((piece, i) => [
    row.SCN,
    text(row['THREAD#'] ?? 1),
    row.RS_ID ?? ` 0x${row.SCN} `,
    text(row.SSN ?? 0),
    row.XID.toUpperCase(),
    text(row.OPERATION_CODE),
    row.TIMESTAMP ?? '2024-05-01 10:00:00',
    text(row.ROLLBACK ?? 0),
    text(i < pieces.length - 1 ? 1 : (row.CSF ?? 0)),
    text(row.STATUS ?? 0),
    row.INFO ?? null,
    row.SEG_OWNER ?? null,
    row.TABLE_NAME ?? null,
    row.ROW_ID ?? null,
    row['DATA_OBJ#'] ?? null,
    row['DATA_OBJD#'] ?? null,
    row.USERNAME ?? null,
    piece,
  ]);
}

export function rowsAt(
  table: FakeTable,
  scn: bigint,
): { readonly rowId: string; readonly values: Readonly<Record<string, OracleValue>> }[] {
  const rows = new Map<string, Readonly<Record<string, OracleValue>>>();
  for (const change of table.rows) {
    if (change.scn > scn) continue;
    if (change.values === null) rows.delete(change.rowId);
    else rows.set(change.rowId, change.values);
  }
  return [...rows].map(([rowId, values]) => ({ rowId, values }));
}
