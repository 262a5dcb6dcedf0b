/**
 * The driver takes one text for everything that TLS needs, and refuses one without a private key and its certificate. So
 * where only an authority is named these go with it: made for this process, kept nowhere, and of nobody's trust.
 *
 * The certificate is DER (X.690) of an X.509 version 1 (RFC 5280, section 4.1) with ecdsa-with-SHA256 (RFC 5758).
 */
import { generateKeyPairSync, sign } from 'node:crypto';

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');

let made: string | null = null;

/** PEM of a key, and of a certificate for it that nobody has signed. */
export function unshownIdentity(): string {
  made ??= make();
  return made;
}

function make(): string {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(SEQUENCE, ECDSA_WITH_SHA256);
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from('headwater')))),
  );
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, Buffer.from('200101000000Z')),
    der(UTC_TIME, Buffer.from('491231235959Z')),
  );
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(SEQUENCE, der(INTEGER, Buffer.of(1)), algorithm, name, validity, name, key);
  const signature = der(BIT_STRING, Buffer.of(0), sign('sha256', body, privateKey));
  const certificate = der(SEQUENCE, body, algorithm, signature);
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return [
    privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trimEnd(),
    `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----`,
  ].join('\n');
}

/** Of less than 64 KiB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}
