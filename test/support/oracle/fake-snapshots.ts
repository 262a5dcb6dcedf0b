/** What the scripted Oracle knows of snapshots: where rows lie, and what they were as of an SCN. */
import { OracleError, type OracleRow } from '../../../src/readers/oracle/session/oracle-session.ts';
import type { Handler } from './fake-session.ts';
import { rowsAt } from './fake-statements.ts';
import { compareRowIds, objectOf } from './row-ids.ts';

const NONE: readonly OracleRow[] = [];

export const SNAPSHOT_HANDLERS: readonly (readonly [RegExp, Handler])[] = [
  [
    /^SELECT DBMS_ROWID\.ROWID_CREATE\(1, O\.DATA_OBJECT_ID, E\.RELATIVE_FNO, E\.BLOCK_ID \+ E\.BLOCKS - 1, 32767\), TO_CHAR\(O\.DATA_OBJECT_ID\), TO_CHAR\(E\.BLOCKS\) FROM DBA_EXTENTS E JOIN DBA_OBJECTS O ON O\.OWNER = E\.OWNER AND O\.OBJECT_NAME = E\.SEGMENT_NAME AND NVL\(O\.SUBOBJECT_NAME,'#'\) = NVL\(E\.PARTITION_NAME,'#'\) AND O\.OBJECT_TYPE = E\.SEGMENT_TYPE AND O\.DATA_OBJECT_ID IS NOT NULL WHERE E\.OWNER = :o AND E\.SEGMENT_NAME = :t AND E\.SEGMENT_TYPE IN \('TABLE','TABLE PARTITION','TABLE SUBPARTITION'\) ORDER BY O\.DATA_OBJECT_ID, E\.RELATIVE_FNO, E\.BLOCK_ID$/,
    function (_, binds) {
      if (!this.server.mayReadExtents) throw new OracleError('ORA-00942: table or view does not exist');
      const table = this.table(binds);
      return (table?.extents ?? []).map(({ high, blocks }) => [high, table!.dataObjectId, String(blocks)]);
    },
  ],
  [
    /^SELECT 1 FROM ALL_TABLES WHERE OWNER = :o AND TABLE_NAME = :t AND ROW_MOVEMENT = 'ENABLED'$/,
    function (_, binds) {
      return this.table(binds)?.rowMovement === true ? [['1']] : NONE;
    },
  ],
  [
    /^SELECT 1 FROM DBA_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND DATA_OBJECT_ID = DBMS_ROWID\.ROWID_OBJECT\(CHARTOROWID\(:r\)\) AND ROWNUM = 1$/,
    function (_, binds) {
      if (!this.server.mayReadExtents) throw new OracleError('ORA-00942: table or view does not exist');
      const object = this.table(binds)?.dataObjectId;
      return object !== undefined && objectOf(String(binds['r'])) === object ? [['1']] : NONE;
    },
  ],
  [
    /^SELECT (.*), ROWIDTOCHAR\(T\.ROWID\) FROM "([^"]+)"\."([^"]+)" AS OF SCN (\d+) T(?: WHERE (.*?))? ORDER BY T\.ROWID(?: FETCH FIRST (\d+) ROWS ONLY)?$/s,
    function (match, _binds, sql) {
      const s = this.server;
      s.raise('READ', sql);
      const [, columns = '', owner = '', name = '', scnText = '', where = '', limit] = match;
      const table = this.table({ o: owner, t: name });
      if (table === undefined) throw new OracleError('ORA-00942: table or view does not exist');
      const scn = BigInt(scnText);
      if (scn > s.currentScn)
        throw new OracleError('ORA-08181: specified number is not a valid system change number');
      if (scn < table.undoHorizon)
        throw new OracleError('ORA-01555: snapshot too old: rollback segment number with name "" too small');
      if (scn < table.lastDdl)
        throw new OracleError('ORA-01466: unable to read data - table definition has changed');
      const names = [...columns.matchAll(/T\."([^"]+)"/g)]
        .map((each) => each[1]!)
        .filter((each, i, all) => all[i - 1] !== each);
      if (names.some((each) => !table.columns.some((column) => column.name === each)))
        throw new OracleError('ORA-00904: invalid identifier');
      const from = /T\.ROWID > CHARTOROWID\('([^']+)'\)/.exec(where)?.[1];
      const to = /T\.ROWID <= CHARTOROWID\('([^']+)'\)/.exec(where)?.[1];
      const filter = where.replaceAll(/T\.ROWID (?:>|<=) CHARTOROWID\('[^']+'\)(?: AND )?/g, '');
      if (filter !== '' && !/^\(.*\)$/s.test(filter)) s.violate(`a condition that is not known: ${filter}`);
      if (filter === '(nonsense\n)') throw new OracleError('ORA-00904: "NONSENSE": invalid identifier');
      const rows = rowsAt(table, scn)
        .filter(
          ({ rowId }) =>
            (from === undefined || compareRowIds(rowId, from) > 0) &&
            (to === undefined || compareRowIds(rowId, to) <= 0),
        )
        .sort((a, b) => compareRowIds(a.rowId, b.rowId))
        .map(({ rowId, values }) => [...names.map((column) => values[column] ?? null), rowId]);
      return limit === undefined ? rows : rows.slice(0, Number(limit));
    },
  ],
  [
    /^SELECT 1 FROM "([^"]+)"\."([^"]+)" T WHERE ROWNUM < 1 AND \((.*)\n\)$/s,
    function (match) {
      const table = this.table({ o: match[1]!, t: match[2]! });
      if (table === undefined) throw new OracleError('ORA-00942: table or view does not exist');
      if (match[3] === 'nonsense') throw new OracleError('ORA-00904: "NONSENSE": invalid identifier');
      return [];
    },
  ],
  [
    /^SELECT 1 FROM "([^"]+)"\."([^"]+)" AS OF SCN (\d+) WHERE ROWNUM = 1$/,
    function (match) {
      const table = this.table({ o: match[1]!, t: match[2]! });
      if (table === undefined) throw new OracleError('ORA-00942: table or view does not exist');
      if (!this.server.mayFlashback) throw new OracleError('ORA-01031: insufficient privileges');
      if (BigInt(match[3]!) < table.lastDdl) throw new OracleError('ORA-01466: unable to read data');
      return NONE;
    },
  ],
];
