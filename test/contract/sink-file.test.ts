import { readdir, readFile, writeFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openFileSink } from '../../src/emitter/sinks/lines/file-sink.ts';
import { SILENT } from '../../src/observability/log.ts';
import { describeSink, record, type SeenRecord, type SinkUnderTest } from './sink-contract.ts';

const dirs: string[] = [];
const never = new AbortController().signal;

afterAll(async () => {
  for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-file-sink-'));
  dirs.push(dir);
  return dir;
}

/** All committed lines: whole segments, and of the last one as much as the checkpoint says. */
async function committed(dir: string): Promise<SeenRecord[]> {
  const checkpoint = JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')) as {
    segment: number;
    length: number;
  };
  const seen: SeenRecord[] = [];
  for (const entry of (await readdir(dir)).toSorted()) {
    const number = Number(/^records-(\d+)\.jsonl$/.exec(entry)?.[1] ?? NaN);
    if (!(number <= checkpoint.segment)) continue;
    let data = await readFile(join(dir, entry));
    if (number === checkpoint.segment) data = data.subarray(0, checkpoint.length);
    for (const line of data.toString().split('\n')) {
      if (line === '') continue;
      const { key, value, ...rest } = JSON.parse(line) as { key: unknown; value: unknown } & SeenRecord;
      const text = (each: unknown): string | null => (each === null ? null : JSON.stringify(each));
      seen.push({ ...rest, key: text(key), value: text(value) });
    }
  }
  return seen;
}

describeSink('file sink', async (): Promise<SinkUnderTest> => {
  let dir = await newDir();
  return {
    open: () => openFileSink({ name: 'p', dir, rotateBytes: 200_000 }, SILENT),
    read: async (topic) => (await committed(dir)).filter((each) => each.topic === topic),
    // The process goes on living, so a copy of the directory stands for what a crash leaves.
    async crash() {
      const copy = await newDir();
      for (const entry of await readdir(dir))
        if (entry !== 'lock') await writeFile(join(copy, entry), await readFile(join(dir, entry)));
      dir = copy;
    },
    second: 'is refused',
    delivery: 'exactly-once',
  };
});

describe('file sink, its files', () => {
  it('rotates at a commit, and goes on in the last segment', async () => {
    const dir = await newDir();
    for (let round = 0; round < 2; round++) {
      await using sink = await openFileSink({ name: 'p', dir, rotateBytes: 1000 }, SILENT);
      await sink.restore({ onWaiting: () => {}, signal: never });
      const topic = await sink.topic('t', 'table');
      for (let i = 0; i < 4; i++) {
        for (let j = 0; j < 5; j++) sink.append(topic, record(`${round}`, `"${'v'.repeat(100)}"`));
        await sink.commit(new Map([['position', `${round}.${i}`]]));
      }
    }
    expect((await committed(dir)).length).toBe(40);
    expect((await readdir(dir)).filter((each) => each.startsWith('records-')).length).toBeGreaterThanOrEqual(
      4,
    );
  });

  it('refuses a checkpoint of another pipeline, one that is not ours, and records that are gone', async () => {
    const dir = await newDir();
    {
      await using sink = await openFileSink({ name: 'p', dir }, SILENT);
      await sink.restore({ onWaiting: () => {}, signal: never });
      sink.append(await sink.topic('t', 'table'), record(null, '1'));
      await sink.commit(new Map([['position', '1']]));
    }
    const start = async (name: string): Promise<void> => {
      await using sink = await openFileSink({ name, dir }, SILENT);
      await sink.restore({ onWaiting: () => {}, signal: never });
    };
    await expect(start('q')).rejects.toMatchObject({ code: 'delivery.state-invalid' });
    await writeFile(join(dir, 'records-00000001.jsonl'), '');
    await expect(start('p')).rejects.toMatchObject({ code: 'delivery.state-invalid' });
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"v":1}',
      '{"v":2,"name":"p","segment":0,"length":0,"state":{}}',
      '{"v":1,"name":"p","segment":-1,"length":0,"state":{}}',
      '{"v":1,"name":"p","segment":0,"length":0,"state":{"a":1}}',
    ]) {
      await writeFile(join(dir, 'checkpoint.json'), text);
      await expect(start('p'), text).rejects.toMatchObject({ code: 'delivery.state-invalid' });
    }
  });

  it('writes bytes as base64', async () => {
    const dir = await newDir();
    await using sink = await openFileSink({ name: 'p', dir }, SILENT);
    await sink.restore({ onWaiting: () => {}, signal: never });
    sink.append(await sink.topic('t', 'table'), {
      ...record(null, null),
      key: Buffer.from([0, 1]),
      value: Buffer.from([255]),
    });
    await sink.commit(new Map());
    expect(await committed(dir)).toMatchObject([{ key: '"AAE="', value: '"/w=="' }]);
  });

  it('says what is wrong with a directory it cannot use', async () => {
    const file = join(await newDir(), 'file');
    await writeFile(file, '');
    await expect(openFileSink({ name: 'p', dir: join(file, 'x') }, SILENT)).rejects.toMatchObject({
      code: 'delivery.disk',
    });
  });

  it('says so of a directory that can never be made, such as one in /proc', async () => {
    await expect(openFileSink({ name: 'p', dir: '/proc/headwater/x' }, SILENT)).rejects.toMatchObject({
      code: 'delivery.disk',
    });
  });

  it('leaves nothing behind where nothing was committed', async () => {
    const dir = join(await newDir(), 'made', 'here');
    const sink = await openFileSink({ name: 'p', dir }, SILENT);
    await sink.restore({ onWaiting: () => {}, signal: never });
    sink.append(await sink.topic('t', 'table'), record('1', '1'));
    await sink[Symbol.asyncDispose]();
    await expect(readdir(dir)).rejects.toMatchObject({ code: 'ENOENT' });
    const found = await newDir();
    const other = await openFileSink({ name: 'p', dir: found }, SILENT);
    await other.restore({ onWaiting: () => {}, signal: never });
    await other[Symbol.asyncDispose]();
    expect(await readdir(found)).toEqual([]);
  });
});
