import { describe, expect, it } from 'vitest';
import { SharedRequest } from '../../src/emitter/sinks/kafka/shared-request.ts';

describe('questions that share requests', () => {
  it('thousands asked at once go out in few requests, one at a time, each with its own answer', async () => {
    const sizes: number[] = [];
    let underWay = 0;
    const shared = new SharedRequest<number, string>(100, async (questions) => {
      expect(++underWay).toBe(1);
      sizes.push(questions.length);
      await Promise.resolve();
      underWay--;
      return questions.map((question) => `answer ${question}`);
    });
    const numbers = Array.from({ length: 5000 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((number) => shared.ask(number)));
    expect(answers).toEqual(numbers.map((number) => `answer ${number}`));
    expect(sizes).toEqual(Array<number>(50).fill(100));
  });

  it('what is asked while a request is under way goes with the next', async () => {
    const sent: (readonly string[])[] = [];
    const gates: (() => void)[] = [];
    const shared = new SharedRequest<string, string>(100, async (questions) => {
      sent.push(questions);
      await new Promise<void>((resolve) => gates.push(resolve));
      return questions;
    });
    const first = shared.ask('a');
    await expect.poll(() => sent).toEqual([['a']]);
    const rest = Promise.all([shared.ask('b'), shared.ask('c')]);
    gates[0]!();
    expect(await first).toBe('a');
    await expect.poll(() => sent).toEqual([['a'], ['b', 'c']]);
    gates[1]!();
    expect(await rest).toEqual(['b', 'c']);
  });

  it('a failed request fails those in it, and not the next', async () => {
    let broken = true;
    const shared = new SharedRequest<string, string>(100, (questions) =>
      broken ? Promise.reject(new Error('gone')) : Promise.resolve(questions),
    );
    const failed = await Promise.allSettled([shared.ask('a'), shared.ask('b')]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    expect(await shared.ask('a')).toBe('a');
  });
});
