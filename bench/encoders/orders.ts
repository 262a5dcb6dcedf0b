/**
 * Time per event of decoding an orders row's text and of encoding its record, without reader or sink:
 * `node bench/encoders/orders.ts`. Each figure is the best of five rounds.
 */
import { createEmitter } from '../../src/emitter/record-emitter.ts';
import { PLAIN_EMITTER } from '../../test/support/emitter-options.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import type { Sink } from '../../src/emitter/sink.ts';
import type { RowChange } from '../../src/model/change.ts';
import type { ColumnType, TableSchema } from '../../src/model/table.ts';
import type { Row, Value } from '../../src/model/value.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import { builtinType } from '../../src/readers/postgres/types/builtin-types.ts';
import { decodeText } from '../../src/readers/postgres/types/decode-scalar.ts';

const EVENTS = 200_000;
const BATCH = 1_000;

const COLUMNS: readonly (readonly [name: string, type: string, typmod: number])[] = [
  ['id', 'int8', -1],
  ['customer_id', 'int4', -1],
  ['status', 'varchar', 20],
  ['amount', 'numeric', 655_366],
  ['note', 'varchar', 68],
  ['created_at', 'timestamptz', -1],
  ['updated_at', 'timestamptz', -1],
];

const infos = COLUMNS.map(([name, type, typmod]) => {
  const found = builtinType(type, typmod);
  const columnType: ColumnType = found?.type ?? { kind: 'string' };
  return { name, type: columnType, nativeType: type, decode: found?.decode ?? decodeText };
});
const table: TableSchema = {
  id: { schema: 'public', table: 'orders' },
  version: 1,
  columns: infos.map(({ name, type, nativeType }, i) => ({
    name,
    type,
    nullable: i > 0,
    default: undefined,
    nativeType,
    length: null,
    scale: null,
  })),
  key: [0],
};

function text(i: number): readonly string[] {
  const second = String(i % 60).padStart(2, '0');
  return [
    String(i),
    String(i % 5000),
    'shipped',
    `${i % 1000}.${String(i % 100).padStart(2, '0')}`,
    `note of order ${i} with some words in it`,
    `2024-05-06 07:08:${second}.123456+00`,
    `2024-05-07 08:09:${second}.654321+00`,
  ];
}

const texts = Array.from({ length: BATCH }, (_, i) => text(i + 1_000_000));
const decoders = infos.map(({ decode }) => decode);

function decodeRow(cells: readonly string[]): Row {
  const row: Value[] = [];
  for (let i = 0; i < decoders.length; i++) row.push(decoders[i]!(cells[i]!));
  return row;
}

const rows = texts.map(decodeRow);
const known = new Map<number, PostgresTx>();
const changes: RowChange<PostgresSource>[] = rows.map((row, i) => {
  const tx: PostgresTx = txOf(Math.floor(i / 100));
  const at: PostgresSource = { connector: 'postgresql', lsn: 5_000_000_000 + i * 180, tx };
  const op = (['u', 'u', 'c', 'u', 'u', 'c', 'u', 'd', 'u', 'c'] as const)[i % 10]!;
  const after = op === 'd' ? null : row;
  return {
    kind: 'row',
    op,
    table,
    before: op === 'd' ? row : null,
    after,
    tx,
    seq: i % 100,
    at,
    snapshot: null,
  };
});

function txOf(n: number): PostgresTx {
  const tx = known.get(n) ?? {
    id: String(n),
    xid: n + 1000,
    commitTimeUs: 1_715_000_000_000_000 + n,
    commitLsn: 5_000_000_000 + n * 18_000,
    beginLsn: 5_000_000_000 + n * 18_000,
    lastCommitLsn: 5_000_000_000 + n * 18_000 - 100,
  };
  known.set(n, tx);
  return tx;
}

let bytes = 0;
const target = Buffer.allocUnsafe(64 * 1024);
// What a sink does with the text, so that flattening and writing it counts.
const sink = {
  topic: (name: string) => Promise.resolve({ name }),
  append(_: unknown, record: { key: string | null; value: string | null }) {
    if (record.key !== null) bytes += target.write(record.key, 0, 'latin1');
    if (record.value !== null) bytes += target.write(record.value, 0, 'latin1');
  },
} as unknown as Sink;

function measure(name: string, run: () => void): void {
  run();
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / EVENTS);
  }
  process.stdout.write(`${name.padEnd(34)} ${best.toFixed(2)} µs per event\n`);
}

measure('decode 7 columns of text', () => {
  let sum = 0;
  for (let n = 0; n < EVENTS / BATCH; n++) for (const cells of texts) sum += decodeRow(cells).length;
  if (sum === 0) throw new Error('nothing was decoded');
});
for (const profile of ['debezium', 'safe'] as const) {
  for (const withSchema of [false, true]) {
    const emitter = createEmitter<PostgresSource>(
      {
        ...PLAIN_EMITTER,
        name: 'bench',
        schemaChanges: false,
        messages: false,
        onDeadLetter: (_, error) => {
          throw error;
        },
      },
      { encoding: jsonEncoding({ profile, withSchema }), block: postgresSourceBlock('bench', 'bench'), sink },
    );
    const batch = { changes, bytes: 0, resume: null };
    await emitter.prepare(batch);
    measure(`encode, ${profile}${withSchema ? ' with schema' : ''}`, () => {
      for (let n = 0; n < EVENTS / BATCH; n++) emitter.emit(batch);
    });
  }
}
if (bytes === 0) throw new Error('nothing was encoded');
