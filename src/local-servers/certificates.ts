import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './processes.ts';

/** PEM files of a throw-away authority, a server at localhost and 127.0.0.1, and a client. */
export interface Certificates {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

/** `clientName` becomes the client certificate's common name: PostgreSQL's `cert` method maps it to a role. */
export async function makeCertificates(dir: string, clientName = 'postgres'): Promise<Certificates> {
  const file = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { cwd: dir });
  const newKey = ['-newkey', 'rsa:2048', '-nodes'];
  await openssl(
    ...['req', '-x509', ...newKey, '-days', '30', '-subj', '/CN=Headwater test CA'],
    ...['-keyout', 'ca.key', '-out', 'ca.crt'],
  );
  await writeFile(file('server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  await writeFile(file('client.ext'), 'extendedKeyUsage=clientAuth\n');
  for (const [name, subject] of [
    ['server', 'localhost'],
    ['client', clientName],
  ] as const) {
    await openssl(
      ...['req', ...newKey, '-subj', `/CN=${subject}`, '-keyout', `${name}.key`, '-out', `${name}.csr`],
    );
    await openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '30', '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    );
  }
  return {
    ca: file('ca.crt'),
    serverCert: file('server.crt'),
    serverKey: file('server.key'),
    clientCert: file('client.crt'),
    clientKey: file('client.key'),
  };
}
