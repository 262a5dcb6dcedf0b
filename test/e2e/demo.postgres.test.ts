import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { startDemo } from './demo-process.ts';

/** What the demo and its servers call, and no java, mvn or docker. */
const LITTLE = ['sh', 'id', 'setpriv', 'rm', 'sleep', 'test', 'tail', 'chmod', 'kill'];
const LIVE = 'as a consumer of the records sees them';

/** The settings file that a reader may take away. */
async function settingsShown(output: string): Promise<Settings | undefined> {
  const lines = output.split('\n');
  const from = lines.findIndex((line) => line.startsWith('The pipeline: ')) + 1;
  const yaml = lines.slice(from, lines.indexOf('', from)).map((line) => line.slice(2));
  const dir = await mkdtemp(join(tmpdir(), 'demo-yaml-'));
  try {
    await writeFile(join(dir, 'shop.yaml'), yaml.join('\n'));
    return (await loadSettings([join(dir, 'shop.yaml')], {}))[0];
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe('npm run demo', () => {
  it('shows snapshot and changes, delivers each exactly once, and leaves nothing behind', async () => {
    await using demo = await startDemo(['--seconds', '4', '--sink', 'files']);
    const { code, output, errors } = await demo.finished;
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/PostgreSQL 18 at postgres:\/\/\S+, started in/);
    expect(output).toContain('Files, as asked for with --sink files.');
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/ shows/);
    expect(output).toContain('Snapshot: 20,500 rows of 3 tables in');
    expect(output).toMatch(/^ {2}insert public\.orders \[id=20001\] +customer_id=1 item=lamp .*price=4\.90/m);
    expect(output).toMatch(
      /^ {2}update public\.orders \[id=20001\] +status: new → paid +\(tx \d+, [\d.]+ ms\)$/m,
    );
    expect(output).toMatch(/^ {2}update public\.customers \[id=1\] +club: platinum → bronze/m);
    expect(output).toMatch(
      /^ {2}unhappy shop\.unhappy_platinum_customers +rating_id=1 stars=1 message=never again customer=Ada email=ada@example\.com$/m,
    );
    const [shop, delivered] = ['shop', 'delivered'].map((who) =>
      new RegExp(`^ {2}${who} +([\\d,]+) +(\\d+) +(\\d+) +(\\d+)$`, 'm').exec(output)?.slice(1),
    );
    expect(shop?.[0]).toBe('20,500');
    expect(Number(shop?.[1])).toBeGreaterThan(0);
    expect(delivered).toEqual(shop);
    expect(output).toContain(
      "✓ every row and every change exactly once, and so each unhappy platinum customer's rating",
    );
    expect(output).toMatch(/topic shop\.public\.orders: 20,\d{3} records/);
    expect(output).not.toContain('\u001b');
    expect(await demo.left()).toEqual([]);
    expect(await settingsShown(output)).toMatchObject({
      name: 'shop',
      source: { database: 'shop' },
      emit: { sink: { kind: 'file' } },
    });
  });

  it('ends with 0 and nothing left at Ctrl-C, which npm hands on a second time', async () => {
    await using demo = await startDemo(['--forever', '--sink', 'files']);
    await demo.wrote(LIVE);
    process.kill(-demo.process.pid!, 'SIGINT');
    const { code, output } = await demo.finished;
    expect(code).toBe(0);
    expect(output).toContain('✓ every row and every change exactly once');
    expect(await demo.left()).toEqual([]);
  });

  it('ends with 0 and nothing left also while it is still starting', async () => {
    await using demo = await startDemo(['--sink', 'files']);
    await demo.wrote('a shop in PostgreSQL');
    process.kill(-demo.process.pid!, 'SIGINT');
    expect(await demo.finished).toMatchObject({ code: 0, errors: '' });
    expect(await demo.left()).toEqual([]);
  });

  it('leaves nothing even when it is killed', async () => {
    await using demo = await startDemo(['--forever', '--sink', 'files']);
    await demo.wrote(LIVE);
    process.kill(-demo.process.pid!, 'SIGKILL');
    await demo.finished;
    expect(await demo.leftAtLast()).toEqual([]);
  });

  it('says in one sentence why there is no Kafka, and writes files', async () => {
    await using demo = await startDemo(['--seconds', '1'], { tools: LITTLE });
    const { code, output } = await demo.finished;
    expect(output).toContain(
      'Files instead of Kafka: Kafka needs Java 17 or later (java) on the PATH, and no container engine answers.',
    );
    expect(output).toContain('✓ every row and every change exactly once');
    expect(code).toBe(0);
  });

  it('refuses with 3 and one sentence where Kafka is demanded and cannot be had', async () => {
    await using demo = await startDemo(['--sink', 'kafka'], { tools: LITTLE });
    const { code, errors } = await demo.finished;
    expect(code).toBe(3);
    expect(errors).toMatch(/^error\[demo\.no-kafka\] There is no Kafka: .*\n {2}→ .*\n$/);
    expect(await demo.left()).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)('refuses with 3 as root without setpriv', async () => {
    await using demo = await startDemo(['--sink', 'files'], {
      tools: LITTLE.filter((tool) => tool !== 'setpriv'),
    });
    const { code, errors } = await demo.finished;
    expect(code).toBe(3);
    expect(errors).toMatch(
      /^error\[demo\.no-postgres\] PostgreSQL refuses to run as root and there is no setpriv\.\n/,
    );
  });

  it.each([
    [['--seconds', '0'], '--seconds must be a number above 0.'],
    [['--kafka', 'nowhere'], '--kafka must be host:port.'],
    [['--sink', 'paper'], 'sink'],
  ])('refuses %j with 2 before it starts anything', async (args, sentence) => {
    await using demo = await startDemo(args);
    const { code, output, errors } = await demo.finished;
    expect(code).toBe(2);
    expect(output).toBe('');
    expect(errors).toContain(sentence);
  });
});
