/**
 * The Fetch request, encoded and decoded by us, since the client library decodes the records with it and trusts what
 * they say of themselves. https://kafka.apache.org/protocol.html#The_Messages_Fetch
 */
import type { Writer } from '@platformatic/kafka';
import { ByteCursor, Malformed } from './byte-cursor.ts';
import type { Cluster, RawRequest } from './cluster.ts';
import { checkCode, KAFKA, KafkaFault } from './errors.ts';

const FETCH_KEY = 1;
const OLDEST = 10;
/** Version 13 names topics by id. */
const NEWEST = 12;
const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;

/** As requests that read have it. */
export function isolationLevel(committed: boolean): number {
  return committed ? READ_COMMITTED : READ_UNCOMMITTED;
}

export interface FetchOptions {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly position: number }[];
  /** False: what is not, or never will be, committed too. */
  readonly committed: boolean;
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

/** What was fetched of a partition. */
export interface FetchedPart {
  readonly topic: string;
  readonly partition: number;
  readonly code: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  /** Transactions that were aborted, each up to its producer's next marker; none where what is uncommitted is read. */
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[];
  /** Batches, the last of which may be cut. */
  readonly bytes: Buffer;
}

/** Belongs to no fetch session: each request says all. Throws KafkaFault; `code` of the parts is the caller's to look at. */
export async function fetchParts(
  cluster: Cluster,
  broker: number,
  options: FetchOptions,
): Promise<readonly FetchedPart[]> {
  const to = { broker, purpose: 'fetch' } as const;
  const version = await cluster.version(to, FETCH_KEY, NEWEST);
  if (version < OLDEST)
    throw new KafkaFault(
      'broker',
      KAFKA.UNSUPPORTED_VERSION,
      `the broker does not speak version ${OLDEST} of Fetch`,
    );
  const { code, parts } = await cluster.raw(to, fetchRequest(version, options));
  checkCode(code, 'Fetch');
  return parts;
}

/** In version 10, 11 or 12. */
export function fetchRequest(version: number, options: FetchOptions): RawRequest<FetchAnswer> {
  const flexible = version >= 12;
  return {
    apiKey: FETCH_KEY,
    apiVersion: version,
    flexible,
    write(writer) {
      writer
        .appendInt32(-1) // of no replica
        .appendInt32(options.maxWaitMs)
        .appendInt32(1) // bytes are waited for
        .appendInt32(options.maxBytes)
        .appendInt8(isolationLevel(options.committed))
        .appendInt32(0) // no session,
        .appendInt32(-1) // and none to be made
        .appendArray(
          [options.topic],
          (w, topic) => {
            w.appendString(topic, flexible).appendArray(
              [...options.partitions],
              (inner, { partition, position }) => {
                writePartition(inner, version, { partition, position, maxBytes: options.partitionMaxBytes });
              },
              flexible,
              flexible,
            );
          },
          flexible,
          flexible,
        )
        .appendArray([], () => {}, flexible, flexible); // topics a session forgets
      if (version >= 11) writer.appendString('', flexible); // rack
      if (flexible) writer.appendTaggedFields();
    },
    parse(_correlationId, _apiKey, _apiVersion, reader) {
      return parseAnswer(reader.buffer.slice(reader.position), version);
    },
  };
}

function writePartition(
  writer: Writer,
  version: number,
  of: { readonly partition: number; readonly position: number; readonly maxBytes: number },
): void {
  writer
    .appendInt32(of.partition)
    .appendInt32(-1) // epoch of the leader: any
    .appendInt64(BigInt(of.position));
  if (version >= 12) writer.appendInt32(-1); // epoch of what was fetched last
  writer
    .appendInt64(-1n) // start of a replica's log
    .appendInt32(of.maxBytes);
}

interface FetchAnswer {
  /** Unless it is 0, all of the request has been refused. */
  readonly code: number;
  readonly parts: readonly FetchedPart[];
}

/** Throws Malformed. */
function parseAnswer(body: Buffer, version: number): FetchAnswer {
  const flexible = version >= 12;
  const cursor = new ByteCursor(body);
  cursor.int32(); // throttle time
  const code = cursor.int16();
  cursor.int32(); // session
  const parts: FetchedPart[] = [];
  for (let topics = count(cursor, flexible); topics > 0; topics--) {
    const name = flexible
      ? cursor.take(Math.max(0, cursor.unsignedVarint() - 1))
      : cursor.take(cursor.int16());
    const topic = name.toString();
    for (let partitions = count(cursor, flexible); partitions > 0; partitions--) {
      parts.push(readPart(cursor, topic, version));
      if (flexible) skipTaggedFields(cursor);
    }
    if (flexible) skipTaggedFields(cursor);
  }
  return { code, parts };
}

function readPart(cursor: ByteCursor, topic: string, version: number): FetchedPart {
  const flexible = version >= 12;
  const partition = cursor.int32();
  const code = cursor.int16();
  cursor.int64(); // high watermark
  const lastStableOffset = cursor.int64();
  const logStartOffset = cursor.int64();
  const aborted: { producerId: bigint; firstOffset: number }[] = [];
  for (let transactions = count(cursor, flexible); transactions > 0; transactions--) {
    aborted.push({ producerId: cursor.bigint64(), firstOffset: cursor.int64() });
    if (flexible) skipTaggedFields(cursor);
  }
  if (version >= 11) cursor.int32(); // the replica that were better to be read
  const bytes = cursor.take(count(cursor, flexible));
  return { topic, partition, code, lastStableOffset, logStartOffset, aborted, bytes };
}

/** Of an array or of bytes, which are none too where they are null. */
function count(cursor: ByteCursor, flexible: boolean): number {
  const said = flexible ? cursor.unsignedVarint() - 1 : cursor.int32();
  if (said > cursor.left) throw new Malformed(`${said} of something are announced in ${cursor.left} bytes`);
  return Math.max(0, said);
}

function skipTaggedFields(cursor: ByteCursor): void {
  for (let fields = cursor.unsignedVarint(); fields > 0; fields--) {
    cursor.unsignedVarint();
    cursor.skip(cursor.unsignedVarint());
  }
}
