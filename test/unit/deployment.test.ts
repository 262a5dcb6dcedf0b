/** docker/: no container engine runs here, so what can be known of its files without one is held. */
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadSettings } from '../../src/settings/load.ts';

const DOCKER = join(import.meta.dirname, '../../docker');
const read = (name: string): Promise<string> => readFile(join(DOCKER, name), 'utf8');

describe('Dockerfile', async () => {
  const instructions = (await read('Dockerfile'))
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.split(' ');
      return { name, text: rest.join(' ') };
    });
  const stages = instructions.filter(({ name }) => name === 'FROM').map(({ text }) => text);
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const of = (name: string): string[] => last.filter((each) => each.name === name).map(({ text }) => text);

  test('what builds does not ship, and every copy between stages has its stage', () => {
    expect(stages.length).toBeGreaterThan(1);
    const named = new Set(stages.map((stage) => /\bAS (\w+)$/.exec(stage)?.[1]));
    for (const copy of of('COPY')) {
      const from = /--from=(\w+)/.exec(copy)?.[1];
      if (from !== undefined) expect(named).toContain(from);
    }
    for (const stage of stages) expect(stage).toMatch(/^node:\d+-slim\b/);
  });

  test('what is copied from the checkout is there and let through', async () => {
    const ignore = (await read('Dockerfile.dockerignore')).split('\n');
    expect(ignore[0]).toBe('*');
    const sources = instructions
      .filter(({ name, text }) => name === 'COPY' && !text.includes('--from='))
      .flatMap(({ text }) => text.split(' ').slice(0, -1));
    expect(sources).not.toEqual([]);
    for (const source of sources) {
      expect(existsSync(join(DOCKER, '..', source)), source).toBe(true);
      expect(ignore).toContain(`!${source}`);
    }
  });

  test('it runs as nobody special, by number, and is stopped and asked as it should be', () => {
    const user = of('USER').at(-1) ?? '';
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(of('STOPSIGNAL')).toEqual(['SIGTERM']);
    // Exec form: with a shell between, signals would not arrive.
    expect(JSON.parse(of('ENTRYPOINT')[0]!)).toContain('dist/main.js');
    expect(JSON.parse(of('CMD')[0]!)[0]).toBe('run');
    expect(of('HEALTHCHECK')[0]).toContain('/livez');
    expect(instructions.filter(({ name }) => name === 'ADD')).toEqual([]);
  });
});

interface Service {
  readonly profiles?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

describe('compose.yaml', async () => {
  const file = parse(await read('compose.yaml'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, unknown>>;
  };

  test.each(Object.entries(file.services))('%s', (name, service) => {
    // The image of Headwater has a health check of its own.
    if (name !== 'headwater') {
      expect(service.healthcheck).toBeDefined();
      expect(service.image).toMatch(/:[\w.-]+$/);
    }
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':');
      const known = source.startsWith('./')
        ? existsSync(join(DOCKER, source))
        : Object.hasOwn(file.volumes, source);
      expect(known, volume).toBe(true);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(condition).toBe('service_healthy');
      // One that is asked for by name starts what it needs only of its own profile, or of none.
      const profiles = file.services[other]?.profiles ?? service.profiles;
      expect(profiles, other).toEqual(expect.arrayContaining([...(service.profiles ?? [])]));
    }
  });

  test('Headwater’s settings are right, and are for servers that are there', async () => {
    const { command = [], volumes = [], environment = {} } = file.services['headwater']!;
    const paths = command.slice(1).map((inside) => {
      const mount = volumes.find((volume) => volume.split(':')[1] === inside);
      expect(mount, inside).toBeDefined();
      return resolve(DOCKER, mount!.split(':')[0]!);
    });
    const settings = await loadSettings(paths, environment);
    expect(settings).toHaveLength(3);
    for (const path of paths) {
      const hosts = [...(await readFile(path, 'utf8')).matchAll(/(?:@|\[|\/\/)([a-z-]+):\d+/g)].map(
        ([, host]) => host,
      );
      expect(hosts.length).toBeGreaterThan(1);
      for (const host of hosts) expect(Object.keys(file.services)).toContain(host);
    }
  });
});

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  // oxlint-disable-next-line typescript/no-explicit-any -- four kinds of objects, looked at by place
  readonly spec?: any;
}

describe('kubernetes.yaml', async () => {
  const manifests = parseAllDocuments(await read('kubernetes.yaml')).map((each) => {
    expect(each.errors).toEqual([]);
    return each.toJS() as Manifest;
  });
  const one = (kind: string): Manifest => {
    const found = manifests.filter((each) => each.kind === kind);
    expect(found, kind).toHaveLength(1);
    return found[0]!;
  };
  const pod = one('Deployment').spec.template;
  const [container] = pod.spec.containers;

  test('all speak of the same pods and the same port', () => {
    const { labels } = pod.metadata;
    expect(one('Deployment').spec.selector.matchLabels).toEqual(labels);
    expect(one('Service').spec.selector).toEqual(labels);
    expect(one('PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels);
    expect(one('NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
    const ports = container.ports.map(({ name }: { name: string }) => name);
    for (const probe of ['readinessProbe', 'livenessProbe', 'startupProbe']) {
      expect(ports).toContain(container[probe].httpGet.port);
    }
    expect(ports).toContain(one('Service').spec.ports[0].targetPort);
  });

  test('a pod that cannot reach its database is taken out, not restarted', () => {
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
    expect(container.livenessProbe.httpGet.path).toBe('/livez');
    expect(container.startupProbe.httpGet.path).toBe('/livez');
    expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(30);
  });

  test('it is locked in', () => {
    expect(pod.spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.spec.automountServiceAccountToken).toBe(false);
    const volumes = pod.spec.volumes.map(({ name }: { name: string }) => name);
    const mounts = container.volumeMounts.map(({ name }: { name: string }) => name);
    expect(mounts.toSorted()).toEqual(volumes.toSorted());
  });

  test('its settings are right, and their secrets are where they are mounted', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'headwater-k8s-'));
    const mounted = container.volumeMounts.find(({ name }: { name: string }) => name === 'secrets').mountPath;
    const text = Object.values(one('ConfigMap').data ?? {})[0]!;
    const secrets = [...text.matchAll(/\$\{file:([^}]+)\}/g)].map(([, path]) => path!);
    expect(secrets).toHaveLength(2);
    for (const secret of secrets) {
      expect(secret.startsWith(`${mounted}/`)).toBe(true);
      await writeFile(join(dir, secret.slice(mounted.length + 1)), 'a-long-enough-secret');
    }
    const path = join(dir, 'shop.yaml');
    await writeFile(path, text.replaceAll(mounted, dir));
    const [settings] = await loadSettings([path], {});
    expect(settings?.http.listen?.port).toBe(container.ports[0].containerPort);
    await rm(dir, { recursive: true });
  });
});
