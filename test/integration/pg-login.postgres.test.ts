import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../src/local-servers/certificates.ts';
import {
  type PgConnectOptions,
  type PgTls,
  tlsOptions,
} from '../../src/readers/postgres/wire/connect-options.ts';
import type { Finding } from '../../src/readers/reader.ts';
import { connectOptions, makeReader, openReader, readToEnd } from '../support/postgres-reader.ts';
import { type PostgresServer, startPostgres } from '../support/servers.ts';

const never = new AbortController().signal;
const PASSWORD = 'right: ü§';

let server: PostgresServer;
let ca: string;
let otherCa: string;

beforeAll(async () => {
  server = await startPostgres({
    version: 18,
    tls: true,
    password: PASSWORD,
    hba: ['hostssl all all 127.0.0.1/32 scram-sha-256'],
  });
  ca = await readFile(server.certificates!.ca, 'utf8');
  const dir = await mkdtemp(join(tmpdir(), 'headwater-ca-'));
  try {
    otherCa = await readFile((await makeCertificates(dir)).ca, 'utf8');
  } finally {
    await rm(dir, { recursive: true });
  }
});
afterAll(() => server[Symbol.asyncDispose]());

interface Login {
  readonly mode?: PgTls['mode'];
  readonly ca?: string | null;
  readonly password?: string | null;
  readonly host?: string;
}

function options({
  mode = 'verify-full',
  ca: authority = ca,
  password = PASSWORD,
  host,
}: Login): PgConnectOptions {
  const base = connectOptions(server.url);
  return {
    ...base,
    hosts: [{ host: host ?? '127.0.0.1', port: server.port }],
    password,
    tls: { mode, ca: authority, cert: null, key: null },
  };
}

async function refusal(login: Login): Promise<Finding> {
  await using reader = makeReader({ url: server.url, name: 'refused' }, { connect: options(login) });
  const findings = await reader.preflight(never);
  expect(findings).toHaveLength(1);
  expect(JSON.stringify(findings)).not.toContain(login.password ?? PASSWORD);
  return findings[0]!;
}

describe('login with TLS and a password', () => {
  it('streams where certificate, name and password are right', async () => {
    const url = await server.createDatabase('tls');
    const run = async (statement: string): Promise<void> => {
      const pg = await import('pg');
      const client = new pg.default.Client({
        connectionString: url,
        password: PASSWORD,
        ssl: { rejectUnauthorized: false },
      });
      await client.connect();
      await client.query(statement);
      await client.end();
    };
    await run(`CREATE TABLE a (id int PRIMARY KEY)`);
    const connect = { ...options({}), database: 'tls' };
    await using reader = makeReader({ url, name: 'tls' }, { connect });
    const { continuity } = await openReader(reader);
    await run(`INSERT INTO a SELECT generate_series(1, 20000)`);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    const { changes } = await readToEnd(reader, continuity.start);
    expect(changes.filter(({ kind }) => kind === 'row')).toHaveLength(20_000);
    const sessions = await server.query<{ ssl: boolean }>(
      `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'headwater'`,
    );
    expect(sessions.length).toBeGreaterThanOrEqual(2);
    expect(sessions.every(({ ssl }) => ssl)).toBe(true);
  });

  it.each<[string, Login]>([
    ['a certificate of another authority', { ca: 'other' }],
    ['no authority to check it by', { ca: null }],
    ['a certificate for another name', { host: '127.1' }],
  ])('is refused with %s', async (_, login) => {
    const finding = await refusal({ ...login, ...(login.ca === 'other' ? { ca: otherCa } : {}) });
    expect(finding).toMatchObject({ level: 'error', code: 'source.tls-failed' });
  });

  it('looks at the name only in verify-full, and at the authority only in verify-*', async () => {
    for (const login of [
      { mode: 'verify-ca', host: '127.1' },
      { mode: 'require', ca: otherCa, host: '127.1' },
    ] as const) {
      await using reader = makeReader({ url: server.url, name: 'lax' }, { connect: options(login) });
      const [first] = await reader.preflight(never);
      expect(first).toMatchObject({ check: 'connection', level: 'ok' });
    }
    expect(await refusal({ mode: 'verify-ca', ca: otherCa })).toMatchObject({ code: 'source.tls-failed' });
  });

  it('compares an address with the addresses of the certificate, and not with localhost', () => {
    const certificate = (names: string): PeerCertificate =>
      ({ subject: { CN: 'localhost' }, subjectaltname: names }) as unknown as PeerCertificate;
    const tls: PgTls = { mode: 'verify-full', ca: null, cert: null, key: null };
    const made = tlsOptions(tls, '10.0.0.5');
    if (made === false) throw new Error('no TLS');
    const check = made.checkServerIdentity!;
    expect(check('localhost', certificate('DNS:localhost'))).toBeInstanceOf(Error);
    expect(check('localhost', certificate('DNS:localhost, IP Address:10.0.0.5'))).toBeUndefined();
  });

  it('is refused without TLS where the server wants it', async () => {
    expect(await refusal({ mode: 'disable' })).toMatchObject({ level: 'error', code: 'source.auth-failed' });
  });

  it('is refused with a wrong password, and with none, and never shows it', async () => {
    expect(await refusal({ password: 'wrong-password' })).toMatchObject({
      level: 'error',
      code: 'source.auth-failed',
    });
    const none = await refusal({ password: null });
    expect(none).toMatchObject({ level: 'error', code: 'source.auth-failed' });
    expect(none.message).toContain('none is set');
  });
});
