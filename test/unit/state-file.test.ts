import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCheckpoint } from '../../src/emitter/sinks/lines/checkpoint-file.ts';
import { StateFile } from '../../src/emitter/sinks/lines/state-file.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headwater-state-'));
  path = join(dir, 'checkpoint.json');
});
afterEach(() => rm(dir, { recursive: true }));

const PLACE = { segment: 1, length: 0 };
const many = (count: number, value: string): Map<string, string> =>
  new Map(Array.from({ length: count }, (_, i) => [`table/public.t${i}`, `${value}${i}`]));

test('few entries stand in the checkpoint alone', async () => {
  const { file, checkpoint } = await StateFile.open(path, 'p');
  expect(checkpoint).toBeNull();
  await file.write(PLACE, new Map([...many(10, 'x'), ['position', '1']]));
  await file.close();
  expect(await readdir(dir)).toEqual(['checkpoint.json']);
  expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ v: 1, state: { position: '1' } });
});

test('of many, a commit writes what has changed', async () => {
  const { file } = await StateFile.open(path, 'p');
  await file.write(PLACE, new Map([...many(2000, 'x'.repeat(100)), ['position', '1']]));
  const journal = join(dir, 'checkpoint.state-1');
  const { size } = await stat(journal);
  await file.write(PLACE, new Map([['position', '2']]));
  expect((await stat(journal)).size).toBe(size);
  await file.write(PLACE, new Map([['table/public.t7', 'y']]));
  expect((await stat(journal)).size).toBeLessThan(size + 100);
  expect((await stat(path)).size).toBeLessThan(300);
  await file.close();
  const again = await StateFile.open(path, 'p');
  expect(again.file.entries().get('table/public.t7')).toBe('y');
  expect(again.file.entries().get('position')).toBe('2');
  expect(again.file.entries().size).toBe(2001);
  await again.file.write(PLACE, new Map([['position', '3']]));
  expect(await readdir(dir)).toEqual(['checkpoint.json', 'checkpoint.state-2']);
  await again.file.close();
});

test('what was written behind the end that counts is of no account; a journal that is cut short or gone is refused', async () => {
  const { file } = await StateFile.open(path, 'p');
  await file.write(PLACE, many(2000, 'x'.repeat(100)));
  await file.close();
  const journal = join(dir, 'checkpoint.state-1');
  const text = await readFile(journal, 'utf8');
  await writeFile(journal, `${text}["table/public.t1","new"]\n["table/pub`);
  expect((await readCheckpoint(path, 'p'))!.state['table/public.t1']).toBe(`${'x'.repeat(100)}1`);
  await writeFile(journal, text.slice(0, -1));
  await expect(readCheckpoint(path, 'p')).rejects.toMatchObject({ code: 'delivery.state-invalid' });
  await rm(journal);
  await expect(readCheckpoint(path, 'p')).rejects.toMatchObject({ code: 'delivery.state-invalid' });
});

test('holds what was written last, whatever was written, over restarts', async () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.string(),
    fc.nat(40_000).map((length) => 'x'.repeat(length)),
  );
  const key = fc.constantFrom('position', 'table/a', 'table/b', 'schema/\n"', 'snapshot');
  const write = fc.array(fc.tuple(key, value), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(write, fc.boolean()), { maxLength: 12 }), async (writes) => {
      const model = new Map<string, string>();
      let { file } = await StateFile.open(path, 'p');
      for (const [changed, restart] of writes) {
        for (const [name, text] of changed) {
          if (text === null) model.delete(name);
          else model.set(name, text);
        }
        await file.write(PLACE, new Map(changed));
        expect(new Map(Object.entries((await readCheckpoint(path, 'p'))!.state))).toEqual(model);
        if (!restart) continue;
        await file.close();
        ({ file } = await StateFile.open(path, 'p'));
        expect(file.entries()).toEqual(model);
      }
      await file.close();
      for (const entry of await readdir(dir)) await rm(join(dir, entry));
    }),
    { numRuns: 60 },
  );
});
