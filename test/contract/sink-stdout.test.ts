import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { openStdoutSink } from '../../src/emitter/sinks/lines/stdout-sink.ts';
import { SILENT } from '../../src/observability/log.ts';
import { describeSink, record, type SeenRecord, type SinkUnderTest } from './sink-contract.ts';

const dirs: string[] = [];
const never = new AbortController().signal;

afterAll(async () => {
  for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-stdout-sink-'));
  dirs.push(dir);
  return dir;
}

function collector(): { out: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      setImmediate(done);
    },
  });
  return { out, text: () => Buffer.concat(chunks).toString() };
}

describeSink('stdout sink', async (): Promise<SinkUnderTest> => {
  const stateDir = await newDir();
  const { out, text } = collector();
  return {
    open: () => openStdoutSink({ name: 'p', stateDir, out }, SILENT),
    async read(topic) {
      const lines = text()
        .split('\n')
        .filter((line) => line !== '');
      return lines
        .map((line) => {
          const { key, value, ...rest } = JSON.parse(line) as { key: unknown; value: unknown } & SeenRecord;
          return {
            ...rest,
            key: key === null ? null : JSON.stringify(key),
            value: value === null ? null : JSON.stringify(value),
          };
        })
        .filter((each) => each.topic === topic);
    },
    crash: async (sink) => {
      await sink[Symbol.asyncDispose]();
    },
    second: 'is refused',
    delivery: 'at-least-once',
  };
});

describe('stdout sink, its reader', () => {
  it('ends with delivery.closed when the reader goes away, and does not move the checkpoint', async () => {
    const stateDir = await newDir();
    let broken = false;
    const out = new Writable({
      write(_chunk, _encoding, done) {
        done(broken ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null);
      },
    });
    {
      await using sink = await openStdoutSink({ name: 'p', stateDir, out }, SILENT);
      await sink.restore({ onWaiting: () => {}, signal: never });
      const topic = await sink.topic('t', 'table');
      sink.append(topic, record(null, '1'));
      await sink.commit(new Map([['position', '1']]));
      broken = true;
      sink.append(topic, record(null, '2'));
      await expect(sink.commit(new Map([['position', '2']]))).rejects.toMatchObject({
        code: 'delivery.closed',
      });
      await expect(sink.failed).rejects.toMatchObject({ code: 'delivery.closed' });
      await expect(sink.commit(new Map())).rejects.toMatchObject({ code: 'delivery.closed' });
    }
    await using next = await openStdoutSink({ name: 'p', stateDir, out: collector().out }, SILENT);
    expect((await next.restore({ onWaiting: () => {}, signal: never })).get('position')).toBe('1');
  });
});
