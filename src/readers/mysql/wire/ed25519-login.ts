import { createHash } from 'node:crypto';
import type { AuthPlugin } from 'mysql2';

/**
 * MariaDB's `client_ed25519`: the signature of the server's 32 bytes, with the whole password in the place of the
 * usual 32-byte seed (RFC 8032 5.1.6), which is why Node's own Ed25519 cannot be used. Logins only: the numbers are
 * JavaScript's, and nothing here takes the same time for every password.
 */
export function ed25519Login(password: string): AuthPlugin {
  return () => (nonce: Buffer) =>
    password === '' ? Buffer.alloc(0) : signEd25519(Buffer.from(password), nonce.subarray(0, 32));
}

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));
const BASE_Y = mod(4n * inverse(5n));
const BASE = point(recoverX(BASE_Y), BASE_Y);

/** Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

export function signEd25519(secret: Uint8Array, message: Uint8Array): Buffer {
  const hashed = sha512(secret);
  const scalarBytes = Buffer.from(hashed.subarray(0, 32));
  scalarBytes[0]! &= 248;
  scalarBytes[31] = (scalarBytes[31]! & 63) | 64;
  const scalar = littleEndian(scalarBytes);
  const publicKey = encode(multiply(BASE, scalar));
  const r = littleEndian(sha512(hashed.subarray(32), message)) % L;
  const commitment = encode(multiply(BASE, r));
  const challenge = littleEndian(sha512(commitment, publicKey, message)) % L;
  return Buffer.concat([commitment, bytes((r + challenge * scalar) % L)]);
}

function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = mod(result * b);
    b = mod(b * b);
  }
  return result;
}

function inverse(value: bigint): bigint {
  return power(value, P - 2n);
}

/** The even root, as the base point's is. */
function recoverX(y: bigint): bigint {
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x - square) !== 0n) x = mod(x * power(2n, (P - 1n) / 4n));
  return (x & 1n) === 0n ? x : P - x;
}

function point(x: bigint, y: bigint): Point {
  return { x, y, z: 1n, t: mod(x * y) };
}

function add(p: Point, q: Point): Point {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = mod((p.y + p.x) * (q.y + q.x));
  const c = mod(2n * p.t * q.t * D);
  const d = mod(2n * p.z * q.z);
  const e = b - a;
  const f = d - c;
  const g = d + c;
  const h = b + a;
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(base: Point, scalar: bigint): Point {
  let result: Point = { x: 0n, y: 1n, z: 1n, t: 0n };
  for (let p = base, s = scalar; s > 0n; s >>= 1n) {
    if (s & 1n) result = add(result, p);
    p = add(p, p);
  }
  return result;
}

function encode({ x, y, z }: Point): Buffer {
  const scale = inverse(z);
  const out = bytes(mod(y * scale));
  out[31]! |= Number(mod(x * scale) & 1n) << 7;
  return out;
}

function littleEndian(text: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(text.toReversed()).toString('hex')}`);
}

function bytes(value: bigint): Buffer {
  return Buffer.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed());
}
