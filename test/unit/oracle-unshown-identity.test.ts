import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { expect, test } from 'vitest';
import { unshownIdentity } from '../../src/readers/oracle/session/unshown-identity.ts';

test('a key and its certificate, made once, as TLS takes them from one text', () => {
  const pem = unshownIdentity();
  const certificate = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')));
  expect(certificate.checkPrivateKey(createPrivateKey(pem))).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate).toMatchObject({ subject: 'CN=headwater', issuer: 'CN=headwater', ca: false });
  expect(unshownIdentity()).toBe(pem);
  expect(() => createSecureContext({ key: pem, cert: pem, ca: pem })).not.toThrow();
});
