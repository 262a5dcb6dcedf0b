import { asHeadwaterError } from '../errors/headwater-error.ts';
import { startHttp } from '../http/server.ts';
import { SILENT } from '../observability/log.ts';
import type { Finding } from '../readers/reader.ts';
import { formatListen } from '../settings/listen.ts';
import type { HttpSettings } from '../settings/settings.ts';
import { fetchStatus } from './daemon-client.ts';
import { VERSION } from './version.ts';

/** Whether `run` could listen: tried, and let go again. Null where it would not listen at all. */
export async function checkListen(
  { listen, token, explicit }: HttpSettings,
  pipeline: string,
  signal: AbortSignal,
): Promise<Finding | null> {
  if (listen === null) return null;
  const check = 'http.listen';
  const place = formatListen(listen);
  try {
    await using _server = await startHttp({
      listen,
      token: null,
      version: VERSION,
      status: () => [],
      administration: null,
      log: SILENT,
    });
    return { check, level: 'ok', message: `${place} is free.` };
  } catch (thrown) {
    const error = asHeadwaterError(thrown);
    const address = { listen, token: token?.reveal() ?? null };
    const daemon = await fetchStatus(address, signal).catch(() => null);
    if (daemon?.pipelines.some(({ name }) => name === pipeline) === true) {
      return { check, level: 'ok', message: `The daemon that runs ${pipeline} listens on ${place}.` };
    }
    const { message, advice: fix, code } = error;
    if (explicit) return { check, level: 'error', message, fix, code };
    return {
      check,
      level: 'warning',
      message: `${message} Without that default there is no HTTP interface.`,
      fix,
    };
  }
}
