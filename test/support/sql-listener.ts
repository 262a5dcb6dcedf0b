/** The SQL interface over a scripted program, and ksqlDB's clients for it. */
import { createRequire } from 'node:module';
import type { HttpServer } from '../../src/http/server.ts';
import { type SqlServerOptions, startSqlServer } from '../../src/http/sql/sql-server.ts';
import { SILENT } from '../../src/observability/log.ts';

// Its types declare a default export; the module itself is the class.
export const KsqldbClient = createRequire(import.meta.url)(
  'ksqldb-client',
) as (typeof import('ksqldb-client'))['default'];

/** On a free port; open to everybody and with nothing that can be changed, unless said otherwise. */
export function listenSql(
  options: Pick<SqlServerOptions, 'desk'> & Partial<SqlServerOptions>,
): Promise<HttpServer> {
  return startSqlServer({
    listen: { host: '127.0.0.1', port: 0 },
    token: null,
    version: '1',
    status: () => [],
    change: () => Promise.reject(new Error('nothing is changed here')),
    changesNeedToken: true,
    log: SILENT,
    ...options,
  });
}
