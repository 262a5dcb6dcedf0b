import { Reader, Writer } from '@platformatic/kafka';
import { expect, it } from 'vitest';
import type { Cluster, RawRequest } from '../../src/emitter/sinks/kafka/cluster.ts';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import { PartitionReader } from '../../src/emitter/sinks/kafka/partition-reader.ts';
import { batchOf, fetchAnswer, partOf } from '../support/fetch-answers.ts';

/** A reader of a partition whose broker answers so, and then nothing; `asked`: from which offsets. */
function readerOf(answers: readonly Buffer[]): {
  readonly reader: PartitionReader;
  readonly asked: number[];
} {
  const asked: number[] = [];
  const cluster = {
    leader: () => 1,
    version: () => Promise.resolve(10),
    raw<T>(_: unknown, request: RawRequest<T>) {
      const writer = Writer.create();
      request.write(writer);
      // Behind the topic's name `t`, and count, index and epoch of its partition.
      asked.push(Number(writer.buffer.readBigInt64BE(44)));
      const body = fetchAnswer([partOf(answers[asked.length - 1] ?? Buffer.alloc(0))]);
      return request.parse(1, request.apiKey, 10, Reader.from(body));
    },
  } as unknown as Cluster;
  const reader = new PartitionReader({ cluster, topic: 't', partition: 3, position: 0, committed: true });
  return { reader, asked };
}

it('makes records of an answer in portions, and asks for more behind the last', async () => {
  const { reader, asked } = readerOf([Buffer.concat([batchOf(50_000), batchOf(5_000, 50_000)])]);
  const portions: number[] = [];
  let next = 0;
  while (next < 55_000) {
    const records = await reader.poll(0);
    for (const { offset } of records) if (offset !== next++) throw new Error(`${offset} is not expected`);
    expect(reader.position).toBe(next);
    portions.push(records.length);
  }
  expect(portions).toEqual([20_000, 20_000, 10_000 + 5_000]);
  expect(asked).toEqual([0]);
  expect(await reader.poll(0)).toEqual([]);
  expect(asked).toEqual([0, 55_000]);
});

it('asks again for what cannot be read in the rest of an answer, and then says so', async () => {
  const broken = batchOf(10, 20_000);
  broken[broken.length - 1]! ^= 1;
  const { reader, asked } = readerOf([Buffer.concat([batchOf(20_000), broken]), broken, batchOf(10, 20_000)]);
  expect(await reader.poll(0)).toHaveLength(20_000);
  expect(await reader.poll(0)).toEqual([]);
  await expect(reader.poll(0)).rejects.toThrow(KafkaFault);
  expect(await reader.poll(0)).toHaveLength(10);
  expect(asked).toEqual([0, 20_000, 20_000]);
});

it('leaves the process time for other things between the portions of an answer', async () => {
  const { reader } = readerOf([batchOf(60_000)]);
  let turns = 0;
  const turn = (): void => {
    turns++;
    handle = setImmediate(turn);
  };
  let handle = setImmediate(turn);
  while (reader.position < 60_000) await reader.poll(0);
  clearImmediate(handle);
  expect(turns).toBeGreaterThanOrEqual(2);
});
