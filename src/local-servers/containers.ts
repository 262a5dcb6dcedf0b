/** The last way to a server: the services of docker/compose.yaml, where a container engine runs. */
import { join } from 'node:path';
import { freePort, run } from './processes.ts';

const COMPOSE_FILE = join(import.meta.dirname, '../../docker/compose.yaml');

/**
 * Null where no engine answers. The containers stop with the run, in order; after a SIGKILL of the run they stay,
 * named `headwater-test-<pid>`, since an engine's containers are nobody's children.
 */
export async function startContainer(name: string): Promise<({ address: string } & AsyncDisposable) | null> {
  if (!(await engineRuns())) return null;
  const service = name.replace('/', '');
  const kafkaPort = await freePort(); // Kafka must advertise the port that clients come in by
  const compose = (...args: string[]): Promise<{ stdout: string }> =>
    run(
      'docker',
      ['compose', '--project-name', `headwater-test-${process.pid}`, '--file', COMPOSE_FILE, ...args],
      {
        env: { ...process.env, KAFKA_PORT: String(kafkaPort) },
      },
    );
  await compose('up', '--detach', '--wait', service);
  const address =
    name === 'kafka' ? `127.0.0.1:${kafkaPort}` : (await compose('port', service, '5432')).stdout.trim();
  return {
    address: name === 'kafka' ? address : `postgres://postgres:postgres@${address}/postgres`,
    async [Symbol.asyncDispose]() {
      await compose('rm', '--stop', '--force', '--volumes', service);
    },
  };
}

export async function engineRuns(): Promise<boolean> {
  const answers = (args: string[]): Promise<boolean> =>
    run('docker', args, { timeout: 10_000 }).then(
      () => true,
      () => false,
    );
  return (await answers(['info'])) && (await answers(['compose', 'version']));
}
