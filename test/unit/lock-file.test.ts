import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeLock } from '../../src/emitter/sinks/lines/lock-file.ts';
import { isGone, processIdentity } from '../../src/emitter/sinks/process-identity.ts';

const TOUCH_MS = 50;
let dir: string;
let path: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headwater-lock-'));
  path = join(dir, 'lock');
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe('lock file', () => {
  it('is held by one, given back, and leaves nothing behind', async () => {
    const lock = await takeLock(path, 'It', TOUCH_MS);
    await expect(takeLock(path, 'It', TOUCH_MS)).rejects.toMatchObject({
      code: 'state.locked',
      details: { pid: process.pid },
    });
    await lock[Symbol.asyncDispose]();
    const again = await takeLock(path, 'It', TOUCH_MS);
    await again[Symbol.asyncDispose]();
    expect(await readdir(dir)).toEqual([]);
  });

  it('is taken from a process that has ended, and from one whose pid another has now', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    for (const holder of [
      { ...processIdentity(), pid: child.pid!, started: '1' },
      { ...processIdentity(), started: '1' },
    ]) {
      expect(isGone(holder)).toBe(true);
      await writeFile(path, JSON.stringify(holder));
      await using lock = await takeLock(path, 'It', TOUCH_MS);
      expect(await readFile(lock.path, 'utf8')).toBe(JSON.stringify(processIdentity()));
    }
  });

  it('is taken from another machine only when that no longer touches it', async () => {
    const elsewhere = JSON.stringify({ ...processIdentity(), machine: 'elsewhere', host: 'other' });
    await writeFile(path, elsewhere);
    const touching = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), 20);
    await expect(takeLock(path, 'It', TOUCH_MS)).rejects.toMatchObject({
      code: 'state.locked',
      details: { host: 'other' },
    });
    clearInterval(touching);
    await using lock = await takeLock(path, 'It', TOUCH_MS);
    expect(await readFile(lock.path, 'utf8')).not.toBe(elsewhere);
  });

  it('is taken where its contents say nothing', async () => {
    for (const text of ['', '{', 'null', '{"pid":"x"}']) {
      await writeFile(path, text);
      await using lock = await takeLock(path, 'It', TOUCH_MS);
      expect(lock.path).toBe(path);
    }
  });
});
