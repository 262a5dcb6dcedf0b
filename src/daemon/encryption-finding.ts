import type { Finding } from '../readers/reader.ts';
import { isLoopback } from '../settings/listen.ts';
import type { SourceSettings } from '../settings/settings.ts';

/** What the settings say of the way to the database: no server refuses plain text unless it is told to. */
export function encryptionFinding({ tls, hosts }: Pick<SourceSettings, 'tls' | 'hosts'>): Finding {
  const check = 'tls';
  switch (tls.mode) {
    case 'disable': {
      const away = hosts.filter(({ host }) => !host.startsWith('/') && !isLoopback(host));
      if (away.length === 0) {
        return {
          check,
          level: 'ok',
          message: 'The connection is not encrypted, and does not leave this machine.',
        };
      }
      return {
        check,
        level: 'warning',
        message: `The connection to ${away.map(({ host }) => host).join(', ')} is not encrypted: passwords and rows can be read on the way.`,
        fix: 'Set source.tls.mode to verify-full, with source.tls.ca where the certificate is your own.',
      };
    }
    case 'require':
      return {
        check,
        level: 'ok',
        message:
          'The connection is encrypted; who answers is not checked, as source.tls.mode verify-full would.',
      };
    case 'verify-ca':
    case 'verify-full':
      return { check, level: 'ok', message: `The connection is encrypted (${tls.mode}).` };
  }
}
