/** Login at a broker by SCRAM; a real one is logged in at by integration/sink-broker.kafka.test.ts. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import { resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';
import { type SaslAnswer, startSaslBroker } from '../support/sasl-broker.ts';

const PASSWORD = 'pässword, with = and "signs"';
const USER = 'a,b=c,d';

/** The server's side of RFC 5802, for one login. */
function honestServer(
  hash: 'sha256' | 'sha512',
  password = PASSWORD,
): (said: string, step: number) => SaslAnswer {
  const salt = Buffer.from('salt of sixteen b');
  const iterations = 4_096;
  const mac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  let told = '';
  let answer = '';
  return (said, step) => {
    if (step === 0) {
      const first = said.replace(/^n,,/, '');
      answer = `r=${/r=(.*)/.exec(first)?.[1]}server,s=${salt.toString('base64')},i=${iterations}`;
      told = `${first},${answer}`;
      return { authBytes: Buffer.from(answer) };
    }
    const [, final = '', proof = ''] = /^(.*),p=(.*)$/.exec(said) ?? [];
    const salted = pbkdf2Sync(password, salt, iterations, hash === 'sha256' ? 32 : 64, hash);
    const stored = createHash(hash).update(mac(salted, 'Client Key')).digest();
    const signature = mac(stored, `${told},${final}`);
    const key = Buffer.from(proof, 'base64').map((byte, index) => byte ^ signature[index]!);
    const right = createHash(hash).update(key).digest().equals(stored);
    if (!right) return { authBytes: Buffer.alloc(0), refusal: `not ${said}` };
    return {
      authBytes: Buffer.from(`v=${mac(mac(salted, 'Server Key'), `${told},${final}`).toString('base64')}`),
    };
  };
}

async function logIn(
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  answer: (said: string, step: number) => SaslAnswer,
): Promise<{ readonly fault: KafkaFault; readonly heard: readonly string[] }> {
  await using broker = await startSaslBroker(answer);
  const options = {
    name: 'p',
    brokers: [broker.address],
    sasl: { mechanism, username: USER, password: PASSWORD },
    connectTimeoutMs: 30_000,
    requestTimeoutMs: 30_000,
  };
  await using cluster = new Cluster(resolveKafkaOptions(options));
  const fault: unknown = await cluster.metadata(['t']).catch((error: unknown) => error);
  if (!(fault instanceof KafkaFault))
    throw new Error('There is nothing behind the login, and yet it answers.');
  return { fault, heard: [...broker.heard] };
}

describe.each([
  ['SCRAM-SHA-256', 'sha256'],
  ['SCRAM-SHA-512', 'sha512'],
] as const)('%s', (mechanism, hash) => {
  test('logs in with a name and a password of any signs', async () => {
    const { fault, heard } = await logIn(mechanism, honestServer(hash));
    // Behind the login the broker hangs up.
    expect(fault.kind).toBe('network');
    expect(heard).toHaveLength(2);
    expect(heard[0]).toContain('n=a=2Cb=3Dc=2Cd,r=');
  });

  test('a password that is wrong is refused, and one that the broker does not know is as well', async () => {
    const wrong = await logIn(mechanism, honestServer(hash, 'another'));
    expect(wrong.fault).toMatchObject({ kind: 'auth', code: 58 });
    const honest = honestServer(hash);
    const liar = await logIn(mechanism, (said, step) => {
      const told = honest(said, step);
      return step === 0 ? told : { authBytes: Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`) };
    });
    expect(liar.fault.kind).toBe('auth');
    expect(liar.heard).toHaveLength(2);
  });
});

test.each([
  ['nothing', () => ''],
  ['no parameters', () => 'hello'],
  ['one without a value', () => 'r='],
  ['no salt', (nonce: string) => `r=${nonce}x,i=4096`],
  ['no iterations', (nonce: string) => `r=${nonce}x,s=AAAA`],
  ['a nonce of its own', () => 'r=other,s=AAAA,i=4096'],
  ['only our nonce', (nonce: string) => `r=${nonce},s=AAAA,i=4096`],
  ['too few iterations', (nonce: string) => `r=${nonce}x,s=AAAA,i=1`],
  ['iterations for hours', (nonce: string) => `r=${nonce}x,s=AAAA,i=2147483647`],
  ['iterations past every number', (nonce: string) => `r=${nonce}x,s=AAAA,i=99999999999999999999`],
  ['negative ones', (nonce: string) => `r=${nonce}x,s=AAAA,i=-4096`],
  ['an extension that has to be understood', (nonce: string) => `m=x,r=${nonce}x,s=AAAA,i=4096`],
])('a broker that answers with %s is left before the password is worked with', async (_what, answer) => {
  const { fault, heard } = await logIn('SCRAM-SHA-256', (said) => ({
    authBytes: Buffer.from(answer(/r=(.*)/.exec(said)?.[1] ?? '')),
  }));
  expect(fault.kind).toBe('auth');
  expect(heard).toHaveLength(1);
});
