import { block, oneOf, secret, text } from './leaves.ts';

/** Encryption of a connection, of whatever kind. */
export const tls = block({
  mode: oneOf(['disable', 'require', 'verify-ca', 'verify-full'], {
    prefer: 'there is no silent fallback to plain text: write disable or require',
    allow: 'there is no silent fallback to plain text: write disable or require',
  })
    .default('verify-full')
    .describe(
      'verify-full checks certificate and host name, verify-ca the certificate only, require nothing (it only encrypts).',
    ),
  ca: text('the path of a PEM file')
    .optional()
    .describe('File with the CA certificates to trust, instead of the system’s.'),
  cert: text('the path of a PEM file').optional().describe('File with the client certificate.'),
  key: text('the path of a PEM file').optional().describe('File with the key of the client certificate.'),
  key_passphrase: secret()
    .optional()
    .describe('What the key is encrypted with, best as ${file:…} or ${env:…}.'),
});
