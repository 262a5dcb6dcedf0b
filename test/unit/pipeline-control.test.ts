import { describe, expect, test } from 'vitest';
import { PipelineControl } from '../../src/pipeline/control.ts';

const edit = (key: string, value: string | null) => new Map([[key, value]]);

test('an edit ends the attempt under way, and resolves when it is durable', async () => {
  const control = new PipelineControl();
  const attempt = control.beginAttempt();
  let durable = false;
  const done = control.edit(edit('a', '1')).then(() => (durable = true));
  expect(attempt.aborted).toBe(true);
  expect(control.beginAttempt().aborted).toBe(false);
  const { edits } = control;
  expect([...edits]).toEqual([['a', '1']]);
  await Promise.resolve();
  expect(durable).toBe(false);
  control.made(edits);
  await done;
  expect(control.edits.size).toBe(0);
});

test('one that comes while others are written is not taken for made', async () => {
  const control = new PipelineControl();
  const first = control.edit(edit('a', '1'));
  const written = control.edits;
  let durable = false;
  const second = control.edit(edit('a', null)).then(() => (durable = true));
  control.made(written);
  await Promise.resolve();
  expect(durable).toBe(false);
  expect([...control.edits]).toEqual([['a', null]]);
  control.made(control.edits);
  await Promise.all([first, second]);
});

describe('a pause', () => {
  test('lasts until it is over', async () => {
    const control = new PipelineControl();
    control.pause();
    let running = false;
    const waiting = control.running(new AbortController().signal).then(() => (running = true));
    await Promise.resolve();
    expect([control.paused, running]).toEqual([true, false]);
    control.resume();
    await waiting;
    expect(control.paused).toBe(false);
  });

  test('does not keep the process from stopping', async () => {
    const control = new PipelineControl();
    control.pause();
    const stop = new AbortController();
    const waiting = control.running(stop.signal);
    stop.abort();
    await waiting;
    expect(control.paused).toBe(true);
  });
});
