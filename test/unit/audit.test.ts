/** `npm run audit` against registries that answer, find something, have no such answer, or say nothing at all. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../scripts/audit.ts');

async function audit(
  listener: RequestListener,
): Promise<{ readonly exit: unknown; readonly out: string; readonly err: string }> {
  const registry = createServer(listener);
  registry.listen(0, '127.0.0.1');
  await once(registry, 'listening');
  // npm remembers advisories.
  const cache = await mkdtemp(join(tmpdir(), 'headwater-audit-'));
  const env = { ...process.env, npm_config_cache: cache };
  try {
    const { port } = registry.address() as AddressInfo;
    const child = spawn(process.execPath, [SCRIPT, '--registry', `http://127.0.0.1:${port}/`], { env });
    const [out, err, [exit]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { exit, out, err };
  } finally {
    registry.closeAllConnections();
    registry.close();
    await rm(cache, { recursive: true });
  }
}

const advisory = (severity: string): RequestListener => {
  const found = {
    fastify: [
      {
        id: 1,
        url: 'https://example.org/1',
        title: 'made up',
        severity,
        vulnerable_versions: '<1000.0.0',
        cwe: [],
        cvss: { score: 0, vectorString: null },
      },
    ],
  };
  return (request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.method === 'POST') response.end(JSON.stringify(found));
    else response.writeHead(404).end('{}');
  };
};

test('nothing known: 0, and how much was asked for', async () => {
  const { exit, out, err } = await audit((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
  expect(err).toBe('');
  expect(out).toMatch(/^Audited \d\d+ packages that ship: 0 with a vulnerability from high on, 0 /);
  expect(exit).toBe(0);
});

test('a grave one: 1, by name', async () => {
  const { exit, err } = await audit(advisory('high'));
  expect(err).toMatch(/^fastify: high;/);
  expect(exit).toBe(1);
});

test('a lesser one: 0, and counted', async () => {
  const { exit, out } = await audit(advisory('low'));
  expect(out).toContain('0 with a vulnerability from high on, 1 with a lesser one');
  expect(exit).toBe(0);
});

test('a registry without advisories: no verdict, and said', async () => {
  const { exit, out, err } = await audit((_request, response) => response.writeHead(405).end());
  expect({ exit, out }).toEqual({ exit: 75, out: '' });
  expect(err).toBe('NOT AUDITED: the package registry gave no answer (HTTP 405).\n');
});

test('one that never answers is given up', async () => {
  const { exit, err } = await audit(() => {});
  expect(exit).toBe(75);
  expect(err).toContain('NOT AUDITED');
});
