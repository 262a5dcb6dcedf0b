/** Part of `npm run bench -- decoders`: what getting one record out of an answer to Fetch costs. */
import { fetchV10, Reader, Writer } from '@platformatic/kafka';
import { fetchRequest } from '../src/emitter/sinks/kafka/fetch-request.ts';
import { COMPRESSIONS, fetchAnswer, partOf, restamped, seal, taken } from '../test/support/fetch-answers.ts';
import { cpuMicros } from './cpu-micros.ts';
import { median } from './report.ts';
import { printTable } from './table.ts';

const RECORDS_A_BATCH = 500;
/** A connection's client library keeps an answer in the pieces that the socket brought. */
const PIECE_BYTES = 64 * 1024;
const ANSWER_BYTES = 4 * 1024 * 1024;

export async function benchFetched({
  events,
  repeat,
}: {
  readonly events: number;
  readonly repeat: number;
}): Promise<void> {
  const rows: (string | number)[][] = [];
  for (const compression of COMPRESSIONS) {
    const { answers, records } = await answersOf(events, compression);
    const add = (name: string, read: (reader: Reader) => number): void => {
      const runs = Array.from({ length: repeat + 1 }, () =>
        cpuMicros(() => {
          let found = 0;
          for (const answer of answers) found += read(Reader.from(answer));
          if (found !== records) throw new Error(`${found} of ${records} records were read`);
        }),
      );
      runs.shift(); // the compiler's
      rows.push([name, compression, (median(runs) / records).toFixed(3)]);
    };
    add('Headwater', headwater);
    add('@platformatic/kafka', platformatic);
  }
  console.log(
    '\nOne record of about 100 bytes out of an answer to Fetch, whose checksum only Headwater looks at',
  );
  printTable(['', 'compression', 'CPU µs/record'], rows);
}

const REQUEST = fetchRequest(10, {
  topic: 't',
  partitions: [],
  committed: true,
  maxWaitMs: 0,
  maxBytes: ANSWER_BYTES,
  partitionMaxBytes: ANSWER_BYTES,
});

function headwater(reader: Reader): number {
  const answer = REQUEST.parse(1, REQUEST.apiKey, 10, reader);
  if (answer instanceof Promise) throw new Error('It is not read at once');
  const [part] = answer.parts;
  if (part === undefined) throw new Error('There is no partition in the answer');
  return taken(part).records.length;
}

function platformatic(reader: Reader): number {
  const answer = fetchV10.parseResponse(1, 1, 10, reader);
  const records: unknown[] = [];
  for (const batch of answer.responses[0]?.partitions[0]?.records ?? []) {
    for (const { offsetDelta, key, value, headers, timestampDelta } of batch.records)
      records.push({
        offset: Number(batch.firstOffset) + offsetDelta,
        key,
        value,
        headers: headers.map(([name, each]) => [name?.toString(), each]),
        timestamp: Number(batch.firstTimestamp + timestampDelta),
      });
  }
  return records.length;
}

/** Answers of up to 4 MiB, as a connection has them. */
async function answersOf(
  events: number,
  compression: (typeof COMPRESSIONS)[number],
): Promise<{ readonly answers: readonly Writer[]; readonly records: number }> {
  const answers: Writer[] = [];
  let batches: Buffer[] = [];
  let bytes = 0;
  const finish = (): void => {
    const body = fetchAnswer([partOf(Buffer.concat(batches))]);
    const writer = Writer.create();
    for (let at = 0; at < body.length; at += PIECE_BYTES)
      writer.append(Buffer.from(body.subarray(at, at + PIECE_BYTES)));
    answers.push(writer);
    batches = [];
    bytes = 0;
  };
  let offset = 0;
  for (; offset < events; offset += RECORDS_A_BATCH) {
    const records = Array.from({ length: RECORDS_A_BATCH }, (_, i) => ({
      key: `{"id":${offset + i}}`,
      value: `{"id":${offset + i},"status":"${i % 3 === 0 ? 'open' : 'shipped'}","total":${(i * 7919) % 10_000}}`,
      headers: null,
      timestamp: 1_700_000_000_000 + i,
    }));
    const batch = restamped(await seal(records, compression), { offset });
    if (bytes + batch.length > ANSWER_BYTES || batches.length * RECORDS_A_BATCH >= 100_000) finish();
    batches.push(batch);
    bytes += batch.length;
  }
  finish();
  return { answers, records: offset };
}
