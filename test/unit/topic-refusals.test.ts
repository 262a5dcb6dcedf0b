import { expect, it } from 'vitest';
import { TopicRefusals } from '../../src/emitter/topic-refusals.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';

function refusalsAt(): { readonly refusals: TopicRefusals; readonly at: (ms: number) => void } {
  let now = 0;
  return { refusals: new TopicRefusals(() => now), at: (ms) => (now = ms) };
}

const refused = new HeadwaterError('delivery.topic-refused', 'no', { details: { topic: 't' } });

it('a first refusal is looked into, and from the second on the topic waits for longer and longer', () => {
  const { refusals, at } = refusalsAt();
  expect(refusals.has('t')).toBe(false);
  refusals.note(refused, true);
  expect(refusals.has('t')).toBe(true);
  expect(refusals.standing('t')).toBeNull();
  refusals.note(refused, true);
  at(9_999);
  expect(refusals.standing('t')).toBe(refused);
  expect(refusals.standing('u')).toBeNull();
  at(10_000);
  expect(refusals.standing('t')).toBeNull();
  refusals.note(refused, true);
  at(29_999);
  expect(refusals.standing('t')).toBe(refused);
  at(30_000);
  expect(refusals.standing('t')).toBeNull();
});

it('a topic that could not be reached never waits, and a refusal is forgotten after a while', () => {
  const { refusals, at } = refusalsAt();
  for (let i = 0; i < 5; i++) refusals.note(refused, false);
  expect(refusals.standing('t')).toBeNull();
  refusals.note(refused, true);
  at(600_000);
  refusals.note(refused, true);
  expect(refusals.standing('t')).toBeNull();
  refusals.note(refused, true);
  expect(refusals.standing('t')).toBe(refused);
});
