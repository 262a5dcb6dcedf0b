import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signEd25519 } from '../../src/readers/mysql/wire/ed25519-login.ts';
import type { MysqlTls } from '../../src/readers/mysql/wire/connect-options.ts';
import { connectMysql } from '../../src/readers/mysql/wire/connection.ts';
import { connectOptions, makeReader, openReader, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';

const never = new AbortController().signal;
const PASSWORD = 'right: ü§';
const PLAIN: MysqlTls = { mode: 'disable', ca: null, cert: null, key: null };

let mysql: MysqlServer;
let mariadb: MysqlServer;

beforeAll(async () => {
  [mysql, mariadb] = await Promise.all([
    startMysql({ version: '9', tls: true }),
    startMariadb({ version: '11.8', tls: true }),
  ]);
});
afterAll(async () => {
  await mysql?.[Symbol.asyncDispose]();
  await mariadb?.[Symbol.asyncDispose]();
});

async function logIn(
  server: MysqlServer,
  user: string,
  options: { readonly password?: string | null; readonly tls?: MysqlTls; readonly host?: string } = {},
): Promise<string> {
  const { password = PASSWORD, tls = PLAIN, host = server.host } = options;
  const connect = {
    ...connectOptions(server.url),
    hosts: [{ host, port: server.port }],
    user,
    password,
    tls,
  };
  await using connection = await connectMysql(connect, never);
  const [row] = await connection.query("SHOW STATUS LIKE 'Ssl_cipher'");
  return row?.[1] ?? '';
}

async function makeUser(server: MysqlServer, user: string, how: string): Promise<void> {
  await server.query(`CREATE USER '${user}'@'%' IDENTIFIED ${how}`);
}

describe('MySQL', () => {
  test('caching_sha2_password, in full and from the cache, with and without TLS', async () => {
    for (const user of ['full_plain', 'full_tls']) {
      await makeUser(mysql, user, `WITH caching_sha2_password BY '${PASSWORD}'`);
    }
    await logIn(mysql, 'full_plain'); // encrypted with the server's key
    await logIn(mysql, 'full_plain'); // by the hash that it now remembers
    const tls: MysqlTls = { ...PLAIN, mode: 'require' };
    expect(await logIn(mysql, 'full_tls', { tls })).not.toBe('');
    expect(await logIn(mysql, 'full_tls', { tls })).not.toBe('');
  });

  test('sha256_password', async () => {
    await makeUser(mysql, 'sha256', `WITH sha256_password BY '${PASSWORD}'`);
    await logIn(mysql, 'sha256');
    expect(await logIn(mysql, 'sha256', { tls: { ...PLAIN, mode: 'require' } })).not.toBe('');
  });

  test('a wrong password is one', async () => {
    await makeUser(mysql, 'wrong', `BY '${PASSWORD}'`);
    await expect(logIn(mysql, 'wrong', { password: 'x' })).rejects.toMatchObject({ errno: 1045 });
    await expect(logIn(mysql, 'nobody', { password: null })).rejects.toMatchObject({ errno: 1045 });
  });

  test('the certificate is checked as far as the mode says', async () => {
    await makeUser(mysql, 'checked', `BY '${PASSWORD}' REQUIRE SSL`);
    const ca = await readFile(mysql.certificates!.ca, 'utf8');
    expect(await logIn(mysql, 'checked', { tls: { ...PLAIN, mode: 'verify-full', ca } })).not.toBe('');
    expect(await logIn(mysql, 'checked', { tls: { ...PLAIN, mode: 'verify-ca', ca } })).not.toBe('');
    await expect(logIn(mysql, 'checked', { tls: { ...PLAIN, mode: 'verify-full' } })).rejects.toMatchObject({
      kind: 'tls',
    });
    await expect(logIn(mysql, 'checked')).rejects.toMatchObject({ errno: 1045 });
  });

  test('the log is read over TLS', async () => {
    await mysql.query('CREATE DATABASE tls; CREATE TABLE tls.t (id INT PRIMARY KEY)');
    const connect = { ...connectOptions(mysql.url), tls: { ...PLAIN, mode: 'require' as const } };
    await using reader = makeReader({ url: mysql.url, name: 'tls' }, { connect });
    const { continuity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await mysql.query('INSERT INTO tls.t VALUES (1)');
    expect(rowsOf((await readToEnd(reader, continuity.start)).changes)).toHaveLength(1);
  });
});

describe('MariaDB', () => {
  test('mysql_native_password', async () => {
    await makeUser(mariadb, 'native', `BY '${PASSWORD}'`);
    await logIn(mariadb, 'native');
    await expect(logIn(mariadb, 'native', { password: 'x' })).rejects.toMatchObject({ errno: 1045 });
  });

  test('ed25519', async () => {
    await mariadb.query("INSTALL SONAME 'auth_ed25519'");
    await makeUser(mariadb, 'ed', `VIA ed25519 USING PASSWORD('${PASSWORD}')`);
    await logIn(mariadb, 'ed');
    expect(await logIn(mariadb, 'ed', { tls: { ...PLAIN, mode: 'require' } })).not.toBe('');
    await expect(logIn(mariadb, 'ed', { password: 'x' })).rejects.toMatchObject({ errno: 1045 });
  });
});

test('an Ed25519 signature as in RFC 8032, 7.1, test 3', () => {
  const secret = Buffer.from('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'hex');
  expect(signEd25519(secret, Buffer.from('af82', 'hex')).toString('hex')).toBe(
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  );
});
