/** The scripts of test/fixtures/oracle: by hand, and recorded from servers by the live suite. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScript, type Script } from '../support/oracle/script.ts';

const directory = join(import.meta.dirname, '../fixtures/oracle');
const scripts = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Script);

test.each(scripts.map((script) => [`${script.id} ${script.title}`, script] as const))(
  '%s',
  async (_, script) => {
    const { harness, problems } = await runScript(script);
    expect(harness.events).toEqual(script.expected.events);
    expect(harness.warnings).toEqual(script.expected.warnings);
    expect(problems).toEqual([]);
    if (script.expected.offset !== undefined) {
      expect(harness.position!.scn).toBeLessThanOrEqual(BigInt(script.expected.offset.scn));
    }
  },
);

test('each of them can be restarted behind each event', async () => {
  for (const script of scripts) {
    for (let acked = 0; acked <= script.expected.events.length; acked++) {
      const last = script.steps.at(-1)!;
      const again = { ...script, steps: [...script.steps, { restart: { lastAckedEvent: acked } }, last] };
      const { harness } = await runScript(again);
      expect(harness.events).toEqual(script.expected.events);
    }
  }
});
