/** What only Oracle's connector has. */
import { flag, listOf, needless, type PropertyRule, renamed, type SettingsDraft } from './settings-draft.ts';

/** Of a time that may be switched off by 0. */
function unlessZero(path: readonly string[], least: number): PropertyRule['apply'] {
  return (draft: SettingsDraft, { property, value }) => {
    const ms = Number(value);
    if (!Number.isFinite(ms) || ms <= 0)
      draft.note(property, 'is off, which has no equal: there is a default');
    else draft.set(path, `${Math.max(ms, least)}ms`);
  };
}

export const ORACLE_RULES: readonly PropertyRule[] = [
  renamed('database.pdb.name', ['source', 'oracle', 'pdb']),
  {
    name: 'database.connection.adapter',
    apply: (draft, { property, value }) => {
      if (!value.toLowerCase().startsWith('logminer')) {
        draft.note(property, 'is logminer always: XStream and OpenLogReplicator are not read');
      }
    },
  },
  renamed('rac.nodes', ['source', 'oracle', 'rac_nodes'], (value) => [...listOf(value)]),
  {
    name: 'log.mining.strategy',
    apply: (draft, { property, value }) => {
      if (['online_catalog', 'hybrid', 'redo_log_catalog'].includes(value))
        draft.set(['source', 'oracle', 'strategy'], value);
      else draft.note(property, 'is hybrid');
    },
  },
  renamed('log.mining.archive.log.only.mode', ['source', 'oracle', 'archive_only'], flag),
  renamed(
    /^(?:log\.mining\.)?archive\.destination\.name$/,
    ['source', 'oracle', 'archive_destinations'],
    (value) => [...listOf(value)],
  ),
  {
    name: 'log.mining.flush.table.name',
    apply: (draft, { property }) =>
      draft.note(
        property,
        'is not needed, unless the instance is so idle that its log is not flushed: source.oracle.flush_table then',
      ),
  },
  renamed('log.mining.restart.connection', ['source', 'oracle', 'session_reconnect'], flag),
  { name: 'log.mining.session.max.ms', apply: unlessZero(['source', 'oracle', 'session_time'], 60_000) },
  {
    name: 'log.mining.batch.size.max',
    apply: (draft, { property, value }) => {
      const scns = Number(value);
      if (Number.isInteger(scns) && scns >= 1_000) draft.set(['source', 'oracle', 'max_window'], scns);
      else draft.note(property, 'is less than source.oracle.max_window can be, which is left at its default');
    },
  },
  renamed('lob.enabled', ['source', 'oracle', 'lobs'], flag),
  needless(
    /^log\.mining\.(?:batch\.size\.(?:default|min|increment)|log\.count\.min|sleep\.time\..*|window\.max\.ms|scn\.gap\.detection\..*)$/,
    'is not needed: the window follows what the server takes and what there is to read',
  ),
  needless(
    /^(?:internal\.)?log\.mining\.buffer\..*$/,
    'is not needed: open transactions are in memory up to source.oracle.buffer, and then in state.dir',
  ),
  needless(
    'log.mining.transaction.retention.ms',
    'has no equal: no transaction is given up, however long it is open',
  ),
  renamed('log.mining.username.exclude.list', ['source', 'oracle', 'exclude_users'], (value) => [
    ...listOf(value),
  ]),
  needless(
    /^(?:internal\.)?log\.mining\.(?:username\.include|(?:clientid|schema_changes\.username)\.(?:include|exclude))\.list$/,
    'has no equal: changes are chosen by table, and by users who are left out',
  ),
  needless(/^(?:log\.mining\.)?archive\.log\.hours$/, 'is not needed: logs are found by SCN'),
  needless('log.mining.archive.log.only.scn.poll.interval.ms', 'is not needed'),
  needless(
    /^log\.mining\.(?:continuous\.mine|query\.filter\.mode|use\.cte\.query|path\.dictionary)$/,
    'is not needed',
  ),
  needless(
    /^internal\.log\.mining\.(?:(?:hash|sort)\.area\.size|redo\.thread\.scn\.adjustment|use\.cte\.query|log\..*|resume\.position\.interval\.ms|sql\.relaxed\.quote\.detection)$/,
    'is not needed',
  ),
  needless(
    'internal.log.mining.transaction.snapshot.boundary.mode',
    'is not needed: transactions open at the snapshot are read from their beginning',
  ),
  needless(
    /^internal\.(?:log\.mining\.max\.scn\.deviation\.ms|snapshot\.enhance\.predicate\.scn)$/,
    'has no equal',
  ),
  needless(/^(?:internal\.)?log\.mining\.read\.only$/, 'is so always: nothing is written to the database'),
  needless('log.mining.include.redo.sql', 'has no equal: source.redo_sql is left out'),
  needless(
    'legacy.decimal.handling.strategy',
    'has no equal: decimals are as Debezium writes them by default',
  ),
  needless(
    'snapshot.database.errors.max.retries',
    'is not needed: what can be mended by waiting is tried again',
  ),
  needless(/^(?:internal\.)?object\.id\.cache\.size$/, 'is not needed'),
  needless('database.out.server.name', 'is XStream’s, which has no equal: LogMiner is what is read'),
  needless('xstream.out.server.name', 'is XStream’s, which has no equal: LogMiner is what is read'),
  {
    name: 'capture.mode',
    apply: (draft, { property, value }) => {
      if (value !== 'primary')
        draft.note(property, 'has no equal: the database of source.url is what is read');
    },
  },
  needless(
    /^(?:secondary|log\.mining\.readonly)\..*$/,
    'has no equal: the database of source.url is what is read',
  ),
  needless(/^openlogreplicator\..*$/, 'has no equal: LogMiner is what is read'),
];
