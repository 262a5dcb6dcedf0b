/** The last way to a server: the services of docker/compose.yaml, where a container engine runs. */
import { join } from 'node:path';
import { run } from './processes.ts';

const COMPOSE_FILE = join(import.meta.dirname, '../../docker/compose.yaml');

/** Null where no engine answers. The container stops with the run; its data are not kept. */
export async function startContainer(name: string): Promise<({ address: string } & AsyncDisposable) | null> {
  if (!(await engineRuns())) return null;
  const service = name.replace('/', '');
  const project = `headwater-test-${process.pid}`;
  const compose = (...args: string[]): Promise<{ stdout: string }> =>
    run('docker', ['compose', '--project-name', project, '--file', COMPOSE_FILE, ...args]);
  await compose('up', '--detach', '--wait', service);
  const { stdout } = await compose('port', service, name === 'kafka' ? '9092' : '5432');
  const address = stdout.trim().replace('0.0.0.0', '127.0.0.1');
  return {
    address: name === 'kafka' ? address : `postgres://postgres:postgres@${address}/postgres`,
    async [Symbol.asyncDispose]() {
      await compose('rm', '--stop', '--force', '--volumes', service);
    },
  };
}

export async function engineRuns(): Promise<boolean> {
  return run('docker', ['info'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}
