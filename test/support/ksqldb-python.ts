/** PyPI's client of ksqlDB, on the Python that is there. */
import { cached, isCached } from '../../src/local-servers/cache.ts';
import { ServerUnavailable } from '../../src/local-servers/missing-server.ts';
import { onPath, run } from '../../src/local-servers/processes.ts';

/** With what it needs for HTTP/2. */
const PACKAGES = ['ksqldb==1.0.1', 'httpx[http2]', 'requests'];
const CACHE = 'pypi-ksqldb-1.0.1';

/** Why it cannot be had on this machine; null where it can. */
export async function withoutPythonClient(): Promise<string | null> {
  if (await onPath('python3')) {
    if (await isCached(await cacheName())) return null;
    const pip = run('python3', ['-m', 'pip', '--version']);
    const there = await pip.then(
      () => true,
      () => false,
    );
    if (there) return null;
  }
  return 'ksqlDB’s client for Python needs python3 and, once, pip (Debian: apt-get install python3-pip).';
}

/** What it writes to standard output. The client is fetched once, 4 MB. Throws ServerUnavailable. */
export async function runPython(program: string, ...args: readonly string[]): Promise<string> {
  const packages = await cached(await cacheName(), async (dir) => {
    const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--target', dir];
    await run('python3', ['-m', 'pip', 'install', ...options, ...PACKAGES]).catch((cause: unknown) => {
      const said = String((cause as { stderr?: unknown }).stderr ?? cause).trim();
      throw new ServerUnavailable('download', `PyPI’s ksqldb: ${said.slice(-600)}`, { cause });
    });
  });
  const env = { ...process.env, PYTHONPATH: packages };
  return (await run('python3', ['-c', program, ...args], { env })).stdout;
}

/** Of one version of Python: what another one fetched may be compiled for that one. */
async function cacheName(): Promise<string> {
  const { stdout } = await run('python3', ['-c', 'import sys; print(sys.implementation.cache_tag, end="")']);
  return `${CACHE}-${stdout}`;
}
