/** The unit as systemd's own programs judge it, and what the daemon tells systemd by systemd's own program. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reportToServiceManager } from '../../src/cli/service-manager.ts';
import { run } from '../../src/local-servers/processes.ts';
import { type Log, SILENT } from '../../src/observability/log.ts';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { PipelineMonitor } from '../../src/pipeline/monitor.ts';
import { NotifySocket } from '../support/notify-socket.ts';

const UNIT = join(import.meta.dirname, '../../docker/headwater.service');

test('systemd finds no mistake in the unit', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-unit-'));
  const path = join(dir, 'headwater.service');
  const unit = await readFile(UNIT, 'utf8');
  // Where the unit has Node this machine may have none.
  await writeFile(path, unit.replaceAll('/usr/bin/node', process.execPath));
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', path]);
  expect(linesAbout('headwater.service', stdout + stderr)).toEqual([]);
  await writeFile(path, unit.replaceAll('/usr/bin/node', process.execPath).replace('Type=notify', 'Type=no'));
  const spoilt = await run('systemd-analyze', ['verify', '--man=no', path]).catch(
    (error: { stderr: string }) => error,
  );
  expect(linesAbout('headwater.service', spoilt.stderr)).not.toEqual([]);
  await rm(dir, { recursive: true });
});

test('the unit leaves little for an attacker', async () => {
  const rate = (threshold: number): Promise<unknown> =>
    run('systemd-analyze', ['security', '--offline=yes', `--threshold=${threshold}`, '--no-pager', UNIT]);
  // Of 100; a unit without any sandbox has 96. What is left is the network, which it works by.
  await rate(15);
  await expect(rate(5)).rejects.toThrow();
});

test('systemd hears when it is ready, that it lives, and that it stops', async () => {
  await using socket = await NotifySocket.open();
  const pipeline = monitor();
  await using manager = reportToServiceManager(
    { status: () => [pipeline.status()], log: SILENT },
    environment(socket, { WATCHDOG_USEC: '300000', WATCHDOG_PID: String(process.pid) }),
  );
  await socket.next((lines) => lines.includes('STATUS=shop is starting'));
  expect(socket.messages.flat()).not.toContain('READY=1');
  expect(socket.messages.flat()).toContainEqual(expect.stringMatching(/^EXTEND_TIMEOUT_USEC=\d{8}$/));
  pipeline.enter('standby');
  expect(await socket.next((lines) => lines.includes('READY=1'))).toEqual([
    'STATUS=ready',
    'READY=1',
    'WATCHDOG=1',
  ]);
  pipeline.enter('backing-off');
  await socket.next((lines) => lines.includes('STATUS=shop waits before it tries again'));
  const before = socket.messages.length;
  await socket.next(() => socket.messages.length > before + 1);
  expect(socket.messages.slice(before)).toContainEqual([
    'STATUS=shop waits before it tries again',
    'WATCHDOG=1',
  ]);
  pipeline.enter('streaming');
  await socket.next((lines) => lines[0] === 'STATUS=ready' && !lines.includes('READY=1'));
  manager?.stopping();
  await socket.next((lines) => lines.includes('STOPPING=1'));
  expect(socket.messages.flat().filter((line) => line === 'READY=1')).toHaveLength(1);
});

test('without a watchdog for this process there are no beats, and without a socket nothing', async () => {
  await using socket = await NotifySocket.open();
  const pipeline = monitor();
  pipeline.enter('streaming');
  const options = { status: (): readonly PipelineStatus[] => [pipeline.status()], log: SILENT };
  expect(reportToServiceManager(options, {})).toBeNull();
  await using _manager = reportToServiceManager(
    options,
    environment(socket, { WATCHDOG_USEC: '300000', WATCHDOG_PID: '1' }),
  );
  expect(await socket.next((lines) => lines.includes('READY=1'))).toEqual(['STATUS=ready', 'READY=1']);
});

test('a machine without systemd-notify is told once, not a secret with it', async () => {
  const warnings: object[] = [];
  const log: Log = { ...SILENT, warn: (fields) => warnings.push(fields) };
  let looks = 0;
  const status = (): readonly PipelineStatus[] => {
    looks++;
    return [];
  };
  await using _manager = reportToServiceManager(
    { status, log },
    { NOTIFY_SOCKET: '/nowhere', PATH: '/nowhere', WATCHDOG_USEC: '30000', SECRET: 'a-secret' },
  );
  while (looks < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(warnings).toEqual([{ reason: 'ENOENT' }]);
});

function monitor(): PipelineMonitor {
  return new PipelineMonitor({
    name: 'shop',
    connector: 'postgresql',
    progressTimeoutMs: 60_000,
    now: Date.now,
  });
}

function environment(socket: NotifySocket, more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], NOTIFY_SOCKET: socket.path, ...more };
}

/** `verify` looks at neighbouring units of the machine too, and may find something there. */
function linesAbout(unit: string, output: string): readonly string[] {
  return output.split('\n').filter((line) => line.includes(unit));
}
