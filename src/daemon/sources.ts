import type { JsonValue } from '../model/position.ts';
import type { Log } from '../observability/log.ts';
import { POSTGRES_POSITIONS, type PostgresPosition } from '../readers/postgres/position.ts';
import { createPostgresReader } from '../readers/postgres/reader.ts';
import { postgresSourceBlock } from '../readers/postgres/source-block.ts';
import type { PostgresReaderOptions } from '../readers/postgres/settings.ts';
import type { PostgresSource } from '../readers/postgres/source-info.ts';
import type { Reader } from '../readers/reader.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Settings } from '../settings/settings.ts';

/** The one place that knows which connector a settings file asks for. */
export interface Source {
  readonly openReader: () => Reader<PostgresPosition, PostgresSource>;
  readonly block: SourceBlock<PostgresSource>;
}

export function sourceOf(settings: Settings, log: Log): Source {
  return {
    openReader: () => createPostgresReader(postgresOptions(settings), log),
    block: postgresSourceBlock(settings.name, settings.source.database),
  };
}

/** The position as its source would write it; throws `state.position-invalid` on anything else. */
export function normalisePosition(position: JsonValue): JsonValue {
  return POSTGRES_POSITIONS.encode(POSTGRES_POSITIONS.decode(position));
}

function postgresOptions({ name, source, emit }: Settings): PostgresReaderOptions {
  const { tls, postgres } = source;
  return {
    name,
    connect: {
      hosts: source.hosts,
      database: source.database,
      user: source.user,
      password: source.password?.reveal() ?? null,
      tls: { mode: tls.mode, ca: tls.ca, cert: tls.cert, key: tls.key?.reveal() ?? null },
      connectTimeoutMs: source.connectTimeoutMs,
    },
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
