import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeBriefly } from '../../src/cli/tail-view.ts';
import { pipelineYaml } from '../../src/demo/pipeline-file.ts';
import { createScreen } from '../../src/demo/screen.ts';
import { summarise } from '../../src/demo/summary.ts';
import { Tally } from '../../src/demo/tally.ts';
import type { Target } from '../../src/demo/target.ts';
import { loadSettings } from '../../src/settings/load.ts';

const KAFKA: Target = {
  kind: 'kafka',
  brokers: '127.0.0.1:9092',
  given: false,
  sentence: '',
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

interface Event {
  readonly op: string;
  readonly id: number;
  readonly lsn: number;
  readonly before?: object;
  readonly after?: object;
}

function record({ op, id, lsn, before, after }: Event): { topic: string; key: Buffer; value: Buffer } {
  const source = { schema: 'public', table: 'orders', txId: 7, lsn, ts_us: (Date.now() - 20) * 1_000 };
  const value = { before: before ?? null, after: after ?? null, source, op };
  return {
    topic: 'shop.public.orders',
    key: Buffer.from(JSON.stringify({ id })),
    value: Buffer.from(JSON.stringify(value)),
  };
}

describe('what the demo counts', () => {
  const summary = (tally: Tally): string => {
    let output = '';
    const screen = createScreen({ write: (text) => (output += text), terminal: false, colour: false });
    summarise({ tally, rows: 1, target: KAFKA, given: false, command: 'headwater', screen });
    return output;
  };
  const delivered = (...events: readonly Event[]): Tally => {
    const tally = new Tally();
    tally.wrote({ c: 1, u: 1, d: 1, unhappy: 1 });
    for (const event of events) tally.saw(record(event));
    tally.sawUnhappy({ topic: 'shop.unhappy_platinum_customers', key: null, value: Buffer.from('{}') });
    tally.saw({ topic: 'shop.public.orders', key: Buffer.from('{"id":2}'), value: null });
    return tally;
  };
  const all: readonly Event[] = [
    { op: 'r', id: 1, lsn: 10 },
    { op: 'c', id: 2, lsn: 20 },
    { op: 'u', id: 2, lsn: 30 },
    { op: 'd', id: 2, lsn: 40 },
  ];

  it('is exactly once when all has come, and tombstones are records, not changes', () => {
    const tally = delivered(...all);
    expect(tally.changesDelivered).toBe(3);
    expect(tally.topics).toEqual(
      new Map([
        ['shop.public.orders', 5],
        ['shop.unhappy_platinum_customers', 1],
      ]),
    );
    expect(summary(tally)).toContain('✓ every row and every change exactly once');
  });

  it.each([
    ['a row of the snapshot is missing', all.slice(1), 'the two differ'],
    ['a change is missing', all.slice(0, 3), 'the two differ'],
    ['a change came twice', [...all, all[2]!], 'the two differ, 1 came twice'],
    ['a row came twice and another not at all', [all[0]!, all[0]!, all[1]!, all[2]!], '1 came twice'],
  ])('is not when %s', (_what, events, sentence) => {
    const text = summary(delivered(...events));
    expect(text).toContain('✗');
    expect(text).toContain(sentence);
    expect(text).not.toContain('✓');
  });

  it('is not when a rating of an unhappy platinum customer is missing', () => {
    const tally = delivered(...all);
    tally.wrote({ c: 0, u: 0, d: 0, unhappy: 1 });
    expect(summary(tally)).toContain('1 of 2 ratings of unhappy platinum customers came');
  });

  it('measures from the commit, and leaves the snapshot out', () => {
    const tally = new Tally();
    tally.saw(record(all[0]!));
    expect(tally.latency).toBeNull();
    tally.saw(record(all[1]!));
    expect(tally.latency?.median).toBeGreaterThanOrEqual(20);
  });
});

describe('a change on one line', () => {
  const brief = (event: Event): string | null =>
    describeBriefly({ ...record(event), timestamp: 0 }, 'tx 7, 3 ms', false);

  it('shows what an update changed', () => {
    const before = { id: 7, status: 'new', quantity: 1 };
    const line = brief({ op: 'u', id: 7, lsn: 1, before, after: { ...before, status: 'paid' } });
    expect(line).toBe('update public.orders [id=7]        status: new → paid   (tx 7, 3 ms)');
  });

  it('shows the row of an insert and of a delete, the key once', () => {
    const row = { id: 7, status: 'new' };
    expect(brief({ op: 'c', id: 7, lsn: 1, after: row })).toMatch(
      /^insert public\.orders \[id=7\] +status=new {3}\(/,
    );
    expect(brief({ op: 'd', id: 7, lsn: 1, before: row })).toMatch(
      /^delete public\.orders \[id=7\] +status=new {3}\(/,
    );
  });

  it('says nothing of a tombstone or of what is no event', () => {
    const base = { topic: 't', key: null, timestamp: 0 };
    expect(describeBriefly({ ...base, value: null }, 'n', false)).toBeNull();
    expect(describeBriefly({ ...base, value: Buffer.from('{"a":1}') }, 'n', false)).toBeNull();
    expect(describeBriefly({ ...base, value: Buffer.from('{"op') }, 'n', false)).toBeNull();
  });
});

it('writes settings for Kafka that are settings', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'demo-unit-'));
  try {
    const databaseUrl = 'postgres://postgres@127.0.0.1:5432/shop';
    const yaml = pipelineYaml({ name: 'shop', databaseUrl, target: KAFKA, httpPort: 8080 });
    await writeFile(join(dir, 'shop.yaml'), yaml);
    const [settings] = await loadSettings([join(dir, 'shop.yaml')], {});
    expect(settings?.emit).toMatchObject({
      profile: 'safe',
      sink: { kind: 'kafka', brokers: [KAFKA.kind === 'kafka' ? KAFKA.brokers : ''] },
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});

it('writes notes only on a terminal, and takes them away before a line', () => {
  const written = (terminal: boolean): string => {
    let output = '';
    const screen = createScreen({ write: (text) => (output += text), terminal, colour: false });
    screen.note('reading');
    screen.line('read');
    screen.note('');
    return output;
  };
  expect(written(false)).toBe('read\n');
  expect(written(true)).toBe('\r\u001b[Kreading\r\u001b[Kread\n');
});
