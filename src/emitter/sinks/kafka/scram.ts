/**
 * Login by SCRAM (RFC 5802, RFC 7677), as Kafka has it: without channel binding and without SASLprep. The client
 * library's own throws at a message it cannot read where nobody catches, and works as long as the server says.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AuthenticationError, type Connection, type SASLCustomAuthenticator } from '@platformatic/kafka';

type Authenticate = Parameters<SASLCustomAuthenticator>[2];
type Answer = Awaited<ReturnType<Authenticate['async']>>;

const derive = promisify(pbkdf2);

/** Kafka's own allow 4096 to 16384; what asks for more than this only wants our time. */
const MIN_ITERATIONS = 4_096;
const MAX_ITERATIONS = 1_000_000;

/** `n,,` in base64: no channel binding. */
const HEADER = 'n,,';

/** What a server answers first. */
interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** Throws an AuthenticationError, which quotes nothing of the message. */
function parseServerFirst(message: string, clientNonce: string): ServerFirst {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,8})(?:,|$)/.exec(
    message,
  );
  if (match === null) throw refused('answers with something else than SCRAM');
  const [, nonce = '', salt = '', count = ''] = match;
  if (!nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) {
    throw refused('answers with a nonce of another login');
  }
  const iterations = Number(count);
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
    throw refused(
      `asks for ${iterations} iterations, which have to be from ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`,
    );
  }
  return { nonce, salt: Buffer.from(salt, 'base64'), iterations };
}

interface Credentials {
  /** Of node:crypto. */
  readonly hash: 'sha256' | 'sha512';
  readonly username: string;
  readonly password: string;
}

async function logIn(
  ask: (message: string) => Promise<Answer>,
  { hash, username, password }: Credentials,
): Promise<Answer> {
  const clientNonce = randomBytes(18).toString('base64url');
  const name = username.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const first = `n=${name},r=${clientNonce}`;
  const serverFirst = (await ask(HEADER + first)).authBytes.toString();
  const { nonce, salt, iterations } = parseServerFirst(serverFirst, clientNonce);
  const salted = await derive(password, salt, iterations, hash === 'sha256' ? 32 : 64, hash);
  const mac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const final = `c=${Buffer.from(HEADER).toString('base64')},r=${nonce}`;
  const told = `${first},${serverFirst},${final}`;
  const clientKey = mac(salted, 'Client Key');
  const signature = mac(createHash(hash).update(clientKey).digest(), told);
  const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
  const last = await ask(`${final},p=${Buffer.from(proof).toString('base64')}`);
  const expected = mac(mac(salted, 'Server Key'), told);
  const shown = Buffer.from(
    /^v=([A-Za-z0-9+/]+={0,2})(?:,|$)/.exec(last.authBytes.toString())?.[1] ?? '',
    'base64',
  );
  // Only one who knows the password can tell it: another server has taken the broker's place.
  if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) {
    throw refused('does not know the password itself');
  }
  return last;
}

function refused(what: string): AuthenticationError {
  return new AuthenticationError(`The broker ${what}.`);
}

/** For `sasl.authenticate` of a connection whose mechanism is SCRAM. */
export const scramLogin: SASLCustomAuthenticator = (mechanism, connection, authenticate, ...rest) => {
  const [username, password, , callback] = rest;
  const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
  const login = async (): Promise<Answer> =>
    logIn((message) => ask(connection, authenticate, message), {
      hash,
      username: await valueOf(username),
      password: await valueOf(password),
    });
  login().then(
    (answer) => callback(null, answer),
    (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), undefined),
  );
};

async function valueOf(credential: string | (() => string | Promise<string>) | undefined): Promise<string> {
  return typeof credential === 'function' ? credential() : (credential ?? '');
}

function ask(connection: Connection, authenticate: Authenticate, message: string): Promise<Answer> {
  return authenticate.async(connection, Buffer.from(message));
}
