/** A broker that does nothing but ask for a login: it takes any, and answers what a test wants it to. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { framed, onRequests } from './kafka-frames.ts';

const SASL_HANDSHAKE = 17;
const API_VERSIONS = 18;
const SASL_AUTHENTICATE = 36;
const METADATA = 3;
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'];

export interface SaslAnswer {
  readonly authBytes: Buffer;
  /** Refuses the login, in these words. */
  readonly refusal?: string;
}

export interface SaslBroker extends AsyncDisposable {
  readonly address: string;
  /** What clients have said to log in. */
  readonly heard: readonly string[];
}

/** `answer` is asked at each step of a login, from 0. */
export async function startSaslBroker(
  answer: (said: string, step: number) => SaslAnswer,
): Promise<SaslBroker> {
  const heard: string[] = [];
  const listening = createServer((socket) => {
    let step = 0;
    onRequests(socket, (request) => {
      const body = answerTo(request, (said) => {
        heard.push(said);
        return answer(said, step++);
      });
      // What comes after a login is not its business.
      if (body === null) socket.end();
      else socket.write(framed(request, body));
    });
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    address: `127.0.0.1:${(listening.address() as AddressInfo).port}`,
    heard,
    [Symbol.asyncDispose]: () => new Promise<void>((closed) => listening.close(() => closed())),
  };
}

function answerTo(request: Buffer, answer: (said: string) => SaslAnswer): Buffer | null {
  const version = request.readInt16BE(2);
  switch (request.readInt16BE(0)) {
    case API_VERSIONS:
      return version >= 3 ? flexibleVersions() : versions();
    case SASL_HANDSHAKE: {
      const names = MECHANISMS.map((name) => Buffer.concat([int16(name.length), Buffer.from(name)]));
      return Buffer.concat([int16(0), int32(names.length), ...names]);
    }
    case SASL_AUTHENTICATE: {
      if (version !== 2) return null;
      // After the header: its client id and its tags.
      const at = 10 + Math.max(0, request.readInt16BE(8)) + 1;
      const [length, size] = uvarint(request, at);
      const { authBytes, refusal } = answer(request.toString('utf8', at + size, at + size + length - 1));
      const words = refusal === undefined ? Buffer.from([0]) : compact(Buffer.from(refusal));
      const code = int16(refusal === undefined ? 0 : 58);
      return Buffer.concat([
        Buffer.from([0]),
        code,
        words,
        compact(authBytes),
        Buffer.alloc(8),
        Buffer.from([0]),
      ]);
    }
    default:
      return null;
  }
}

const APIS = [METADATA, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE].map((key) =>
  Buffer.concat([int16(key), int16(0), int16(key === SASL_AUTHENTICATE ? 2 : key === METADATA ? 12 : 3)]),
);

function versions(): Buffer {
  return Buffer.concat([int16(0), int32(APIS.length), ...APIS, int32(0)]);
}

function flexibleVersions(): Buffer {
  const entries = APIS.map((entry) => Buffer.concat([entry, Buffer.from([0])]));
  return Buffer.concat([int16(0), Buffer.from([APIS.length + 1]), ...entries, int32(0), Buffer.from([0])]);
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

/** Length plus one as a varint, and the bytes. */
function compact(value: Buffer): Buffer {
  const length: number[] = [];
  let rest = value.length + 1;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), value]);
}

/** The value, and how many bytes it took. */
function uvarint(buffer: Buffer, at: number): readonly [value: number, size: number] {
  let value = 0;
  for (let size = 0; ; size++) {
    const byte = buffer[at + size]!;
    value |= (byte & 0x7f) << (7 * size);
    if (byte < 0x80) return [value, size + 1];
  }
}
