import type { BenchSource, Identity, Product } from './source.ts';
import { startMysqlSource } from './source-mysql.ts';
import { startPostgresSource } from './source-postgres.ts';

/** A server of the benchmark's own, or the one that BENCH_POSTGRES_URL, BENCH_MYSQL_URL or BENCH_MARIADB_URL names. */
export async function startSource(product: Product, identity: Identity): Promise<BenchSource> {
  return product === 'postgres' ? startPostgresSource(identity) : startMysqlSource(product);
}
