import { describe, expect, it } from 'vitest';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import { Positions } from '../../src/emitter/positions.ts';
import { createEmitter } from '../../src/emitter/record-emitter.ts';
import type { Sink, SinkRecord, TopicHandle } from '../../src/emitter/sink.ts';
import type { RowChange } from '../../src/model/change.ts';
import { POSITION_HEADER, positionOf } from '../../src/model/log-position.ts';
import type { TableSchema } from '../../src/model/table.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { PLAIN_EMITTER } from '../support/emitter-options.ts';

const BLOCK = postgresSourceBlock('shop', 'shopdb');
const ORDERS: TableSchema = {
  id: { schema: 'public', table: 'orders' },
  version: 1,
  columns: [
    {
      name: 'id',
      type: { kind: 'int32' },
      nullable: false,
      default: undefined,
      nativeType: 'int4',
      length: null,
      scale: null,
    },
  ],
  key: [0],
};

type Change = RowChange<PostgresSource>;

/** Changes of one transaction; `id` null: rows that a snapshot reads. */
function changes(
  id: string | null,
  commitTimeMs: number,
  rows: readonly (readonly [op: Change['op'], before: number | null, after: number | null])[],
  from = 0,
): readonly Change[] {
  const tx = {
    id: id ?? '0',
    xid: Number(id ?? 0),
    commitTimeUs: commitTimeMs * 1000 + 999,
    commitLsn: 900,
    beginLsn: 500,
    lastCommitLsn: 400,
  };
  return rows.map(([op, before, after], i) => ({
    kind: 'row',
    op,
    table: ORDERS,
    before: before === null ? null : [before],
    after: after === null ? null : [after],
    tx: id === null ? null : tx,
    seq: id === null ? 0 : from + i,
    at: { connector: 'postgresql', lsn: 900, tx },
    snapshot: id === null ? 'true' : null,
  }));
}

const one = [['c', null, 1]] as const;
const told = (positions: Positions, list: readonly Change[]): readonly unknown[] =>
  list.map((change) => positions.header(change, BLOCK)[1]);

describe('places in the log', () => {
  it('grow with each transaction, whatever its commit time is', () => {
    const positions = new Positions(new Map());
    expect(told(positions, changes('1', 5, [...one, ...one]))).toEqual(['5000:0', '5000:1']);
    expect(told(positions, changes('2', 5, one))).toEqual(['5001:0']);
    expect(told(positions, changes('3', 2, one))).toEqual(['5002:0']);
    expect(told(positions, changes('4', 6, one))).toEqual(['6000:0']);
  });

  it('are one for all rows that the first snapshot reads, and new for those read between transactions', () => {
    const positions = new Positions(new Map());
    expect(told(positions, [...changes(null, 3, one), ...changes(null, 9, one)])).toEqual([
      '3000:0',
      '3000:0',
    ]);
    const again = new Positions(positions.takeChanged() ?? new Map());
    expect(told(again, changes(null, 12, one))).toEqual(['3000:0']);
    expect(told(again, changes('1', 10, one))).toEqual(['10000:0']);
    expect(told(again, changes(null, 4, one))).toEqual(['10001:0']);
    expect(told(again, changes('2', 10, one))).toEqual(['10002:0']);
  });

  it('go on after a restart as without one, inside of a transaction too', () => {
    const positions = new Positions(new Map());
    told(positions, [...changes('1', 5, one), ...changes('2', 1, one)]);
    const state = positions.takeChanged() ?? new Map<string, string>();
    expect(positions.takeChanged()).toBeUndefined();
    expect(told(new Positions(state), changes('2', 1, one, 1))).toEqual(['5001:1']);
    expect(told(new Positions(state), changes('3', 1, one))).toEqual(['5002:0']);
    expect(new Positions(state).takeChanged()).toBeUndefined();
  });

  it.each([
    ['1700000000000000:12', { us: 1_700_000_000_000_000, index: 12 }],
    ['17', null],
    ['-1:0', null],
    ['12345678901234567:0', null],
    ['1:0:1', null],
    ['', null],
  ])('are read of "%s"', (text, position) => {
    expect(
      positionOf([
        ['other', null],
        [POSITION_HEADER, Buffer.from(text)],
      ]),
    ).toEqual(position);
    expect(positionOf([[POSITION_HEADER, null]])).toBeNull();
  });
});

describe('an emitter', () => {
  async function emitted(envelope: 'full' | 'unwrapped', positions?: Positions): Promise<readonly string[]> {
    const records: string[] = [];
    const sink = {
      topic: (name: string) => Promise.resolve({ name }),
      append: ({ name }: TopicHandle, { value, headers }: SinkRecord) =>
        records.push(
          `${name} ${value === null ? 'tombstone' : 'value'} ${(headers ?? []).map(([header, text]) => `${header}=${String(text)}`).join(' ')}`,
        ),
    } as unknown as Sink;
    const emitter = createEmitter(
      { ...PLAIN_EMITTER, envelope, heartbeats: true, onDeadLetter: () => {} },
      { encoding: jsonEncoding({ profile: 'debezium', withSchema: false }), block: BLOCK, sink, positions },
    );
    const list = changes('7', 5, [
      ['c', null, 1],
      ['u', 1, 2],
      ['d', 2, null],
    ]);
    const batch = { changes: list, bytes: 1, resume: null };
    await emitter.prepare(batch);
    emitter.emit(batch);
    emitter.heartbeat(1);
    expect(emitter.takeState()?.get('log-time')).toBe(
      positions === undefined ? undefined : '{"v":1,"us":5000,"tx":"7"}',
    );
    return records;
  }

  const place = (index: number): string => `${POSITION_HEADER}=5000:${index}`;

  it('tells them on every record of a table, and on no other', async () => {
    expect(await emitted('full', new Positions(new Map()))).toEqual([
      `shop.public.orders value ${place(0)}`,
      `shop.public.orders value __debezium.newkey={"id":2} ${place(1)}`,
      `shop.public.orders tombstone __debezium.newkey={"id":2} ${place(1)}`,
      `shop.public.orders value __debezium.oldkey={"id":1} ${place(1)}`,
      `shop.public.orders value ${place(2)}`,
      `shop.public.orders tombstone ${place(2)}`,
      '__debezium-heartbeat.shop value ',
    ]);
    expect((await emitted('unwrapped', new Positions(new Map()))).at(-2)).toBe(
      `shop.public.orders tombstone ${place(2)}`,
    );
  });

  it('tells nothing unless it is asked to', async () => {
    expect((await emitted('full')).join('\n')).not.toContain(POSITION_HEADER);
  });
});
