import type { Log } from '../../observability/log.ts';
import { POSTGRES_POSITIONS, type PostgresPosition } from '../../readers/postgres/position.ts';
import { createPostgresReader } from '../../readers/postgres/reader.ts';
import type { PostgresReaderOptions } from '../../readers/postgres/settings.ts';
import { postgresSourceBlock } from '../../readers/postgres/source-block.ts';
import { originAt, type PostgresSource } from '../../readers/postgres/source-info.ts';
import type { Settings } from '../../settings/settings.ts';
import { connectOptions } from './connect-options.ts';
import type { Source } from './source-parts.ts';

export function postgresSource(settings: Settings, log: Log): Source<PostgresPosition, PostgresSource> {
  return {
    positions: POSTGRES_POSITIONS,
    openReader: () => createPostgresReader(postgresOptions(settings), log),
    block: postgresSourceBlock(settings.name, settings.source.database),
    originAt: ({ lsn }) => originAt(lsn, Date.now()),
  };
}

function postgresOptions({ name, source, emit }: Settings): PostgresReaderOptions {
  const { postgres } = source;
  return {
    name,
    connect: { ...connectOptions(source), database: source.database },
    tables: source.tables,
    slot: postgres.slot,
    publication: postgres.publication,
    failover: postgres.failover,
    onGap: source.onGap,
    walBudgetBytes: postgres.walBudgetBytes,
    transactionMetadata: emit.transactionMetadata,
    messages: emit.messages,
  };
}
