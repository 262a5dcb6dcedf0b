/** The last way to a server: the services of docker/compose.yaml, where a container engine runs. */
import { join } from 'node:path';
import { freePort, run, whenOrphaned } from './processes.ts';

/** From a source file two folders down, or from dist/. */
const ROOT = import.meta.filename.endsWith('.ts') ? '../..' : '..';
const COMPOSE_FILE = join(import.meta.dirname, ROOT, 'docker/compose.yaml');

/** `kafka`, `postgres/18`, `mysql/8.4`, `mariadb/11.8` …; null where no engine answers. It ends with this process, however that ends. */
export async function startContainer(
  name: string,
  signal?: AbortSignal,
): Promise<({ address: string } & AsyncDisposable) | null> {
  if (!(await engineRuns())) return null;
  const service = name.replaceAll(/[/.]/g, '');
  const kafkaPort = await freePort(); // Kafka must advertise the port that clients come in by
  const project = [
    'compose',
    '--project-name',
    `headwater-${process.pid}-${service}`,
    '--file',
    COMPOSE_FILE,
  ];
  const compose = (args: readonly string[], abort?: AbortSignal): Promise<{ stdout: string }> =>
    run('docker', [...project, ...args], {
      env: { ...process.env, KAFKA_PORT: String(kafkaPort) },
      signal: abort,
    });
  const down = ['down', '--volumes', '--timeout', '1'];
  // An engine's containers are nobody's children.
  const release = whenOrphaned('docker', ...project, ...down);
  const remove = async (): Promise<void> => {
    await compose(down);
    release();
  };
  try {
    await compose(['up', '--detach', '--wait', service], signal);
    const portOf = async (port: string): Promise<string> =>
      (await compose(['port', service, port], signal)).stdout.trim();
    const product = name.split('/')[0];
    const address =
      product === 'kafka'
        ? `127.0.0.1:${kafkaPort}`
        : product === 'postgres'
          ? `postgres://postgres:postgres@${await portOf('5432')}/postgres`
          : product === 'registry'
            ? `http://${await portOf('8080')}/apis/ccompat/v7`
            : `${product}://root:${product}@${await portOf('3306')}/`;
    return { address, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove().catch(() => {}); // what went wrong first is told
    throw error;
  }
}

export async function engineRuns(): Promise<boolean> {
  const answers = (args: string[]): Promise<boolean> =>
    run('docker', args, { timeout: 10_000 }).then(
      () => true,
      () => false,
    );
  return (await answers(['info'])) && (await answers(['compose', 'version']));
}
