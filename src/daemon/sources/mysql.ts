import type { Log } from '../../observability/log.ts';
import { MYSQL_POSITIONS, type MysqlPosition } from '../../readers/mysql/position.ts';
import { createMysqlReader } from '../../readers/mysql/reader.ts';
import type { MysqlReaderOptions } from '../../readers/mysql/settings.ts';
import { snapshotOrigin } from '../../readers/mysql/snapshot-view.ts';
import { mysqlSourceBlock } from '../../readers/mysql/source-block.ts';
import type { MysqlSource } from '../../readers/mysql/source-info.ts';
import type { Settings } from '../../settings/settings.ts';
import { connectOptions } from './connect-options.ts';
import type { Source } from './source-parts.ts';

export function mysqlSource(
  settings: Settings,
  connector: MysqlReaderOptions['connector'],
  log: Log,
): Source<MysqlPosition, MysqlSource> {
  return {
    positions: MYSQL_POSITIONS,
    openReader: () => createMysqlReader(mysqlOptions(settings, connector), log),
    block: mysqlSourceBlock(settings.name, connector),
    originAt: (position) => snapshotOrigin(connector, position, Date.now() * 1000),
  };
}

function mysqlOptions(
  { name, source, emit, snapshot }: Settings,
  connector: MysqlReaderOptions['connector'],
): MysqlReaderOptions {
  const { mysql } = source;
  return {
    name,
    connector,
    connect: { ...connectOptions(source), database: source.database === '' ? null : source.database },
    tables: source.tables,
    serverId: mysql.serverId,
    onGap: source.onGap,
    transactionMetadata: emit.transactionMetadata,
    includeQuery: mysql.includeQuery,
    types: { zeroDates: mysql.zeroDates, unsignedOverflow: mysql.unsignedOverflow },
    snapshotParallelism: snapshot.mode === 'no_data' ? 0 : snapshot.parallelism,
  };
}
