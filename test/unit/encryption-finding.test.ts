import { expect, test } from 'vitest';
import { encryptionFinding } from '../../src/daemon/encryption-finding.ts';
import type { TlsSettings } from '../../src/settings/settings.ts';

const finding = (mode: TlsSettings['mode'], ...hosts: readonly string[]) =>
  encryptionFinding({
    tls: { mode, ca: null, cert: null, key: null },
    hosts: hosts.map((host) => ({ host, port: 1 })),
  });

test('plain text is warned of where it leaves the machine', () => {
  expect(finding('disable', 'localhost', '127.0.0.1', '::1', '/run/postgresql')).toMatchObject({
    level: 'ok',
  });
  expect(finding('disable', 'localhost', 'db.example.com')).toMatchObject({
    level: 'warning',
    message: expect.stringContaining('to db.example.com is not encrypted') as string,
    fix: expect.stringContaining('source.tls.mode') as string,
  });
  expect(finding('require', 'db')).toMatchObject({
    level: 'ok',
    message: expect.stringContaining('not checked') as string,
  });
  expect(finding('verify-full', 'db')).toMatchObject({ level: 'ok' });
});
