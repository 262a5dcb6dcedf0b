import { HeadwaterError } from '../errors/headwater-error.ts';
import { DEFAULT_LISTEN, DEFAULT_SQL_LISTEN } from '../settings/listen.ts';
import type { DaemonAddress } from './daemon-client.ts';
import { loadOneFile } from './load-files.ts';

/** Where the daemon of a settings file listens, and the pipeline's name; without a file the default address. */
export async function whereToAsk(
  file: string | undefined,
): Promise<{ readonly address: DaemonAddress; readonly only: string | null }> {
  if (file === undefined) {
    return { address: { listen: DEFAULT_LISTEN, token: process.env.HEADWATER_TOKEN ?? null }, only: null };
  }
  const { name, http } = await loadOneFile(file);
  if (http.listen === null) {
    throw new HeadwaterError('http.no-daemon', `${file}: http.listen is off, so there is nobody to ask.`);
  }
  return { address: { listen: http.listen, token: http.token?.reveal() ?? null }, only: name };
}

/** Where the SQL interface of a settings file's daemon listens; without a file the default address. */
export async function whereToAskSql(file: string | undefined): Promise<DaemonAddress> {
  if (file === undefined) return { listen: DEFAULT_SQL_LISTEN, token: process.env.HEADWATER_TOKEN ?? null };
  const { http } = await loadOneFile(file);
  if (http.sql.listen === null)
    throw new HeadwaterError('http.no-daemon', `${file}: http.sql is off, so there is nobody to ask.`);
  return { listen: http.sql.listen, token: http.token?.reveal() ?? null };
}

/** For commands that are about one pipeline. */
export async function whichPipeline(
  file: string,
): Promise<{ readonly address: DaemonAddress; readonly name: string }> {
  const { address, only } = await whereToAsk(file);
  if (only === null) throw new HeadwaterError('internal.bug', `${file} names no pipeline`);
  return { address, name: only };
}
