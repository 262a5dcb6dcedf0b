import { ServerUnavailable } from './missing-server.ts';
import { onPath, run } from './processes.ts';

/** Throws ServerUnavailable where there is no Java of 17 or later. `what` needs it, at the beginning of a sentence. */
export async function requireJava(what: string): Promise<void> {
  const missing = `${what} needs Java 17 or later (java) on the PATH`;
  if (!(await onPath('java'))) throw new ServerUnavailable('missing', `${missing}.`);
  // `openjdk version "17.0.9" …`, on standard error; where java is only a signpost (macOS) it fails.
  const { stderr } = await run('java', ['-version']).catch(() => ({ stderr: '' }));
  const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? Number.NaN);
  if (Number.isNaN(major)) throw new ServerUnavailable('missing', `${missing}, and the java there is none.`);
  if (major < 17) throw new ServerUnavailable('missing', `${missing}, and the java there is ${major}.`);
}
