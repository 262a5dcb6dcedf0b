import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { mysqlVersions, startMysql, testMysql } from '../support/servers.ts';

describe.each(mysqlVersions)('a MySQL %s of a test', (version) => {
  it('is of that version, and logs rows with GTIDs', async () => {
    await using database = await testMysql(version);
    const [row] = await database.query(
      'SELECT VERSION() AS version, @@log_bin AS log, @@binlog_format AS format, @@gtid_mode AS gtids, DATABASE() AS name',
    );
    expect(row).toMatchObject({ log: 1, format: 'ROW', gtids: 'ON', name: database.name });
    expect(String(row?.['version']).startsWith(`${version}.`)).toBe(true);
  });

  it('takes several statements, and its database away', async () => {
    const database = await testMysql(version);
    const rows = await database.query(
      'CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); SELECT id FROM t',
    );
    expect(rows).toEqual([{ id: 1 }]);
    await database.drop();
    await using other = await testMysql(version);
    expect(await other.query('SHOW DATABASES LIKE ?', [database.name])).toEqual([]);
  });
});

describe('a MySQL of a test alone', () => {
  it('keeps data and log over a crash and a restart with other settings, and takes all away at the end', async () => {
    const server = await startMysql({ version: '9', settings: { 'gtid-mode': 'OFF' } });
    try {
      await server.query(
        'CREATE DATABASE kept; CREATE TABLE kept.t (id INT PRIMARY KEY); INSERT INTO kept.t VALUES (1)',
      );
      await server.crash();
      await expect(server.query('SELECT 1')).rejects.toThrow(/ENOENT|ECONNREFUSED/);
      await server.start();
      expect(await server.query('SELECT id FROM kept.t')).toEqual([{ id: 1 }]);
      await server.restart({ 'binlog-format': 'STATEMENT' });
      expect(await server.query('SELECT @@binlog_format AS format, @@gtid_mode AS gtids')).toEqual([
        { format: 'STATEMENT', gtids: 'OFF' },
      ]);
      const logs = await server.query('SHOW BINARY LOGS');
      expect(logs).toHaveLength(3);
    } finally {
      await server[Symbol.asyncDispose]();
    }
    expect(existsSync(server.dataDir)).toBe(false);
  });

  it('starts with an empty GTID set and an identity of its own', async () => {
    await using one = await startMysql({ version: '9' });
    await using other = await startMysql({ version: '9' });
    const identity = 'SELECT @@server_uuid AS id, @@global.gtid_executed AS executed';
    const [[first], [second]] = await Promise.all([one.query(identity), other.query(identity)]);
    expect(first).toMatchObject({ executed: '' });
    expect(first?.['id']).not.toBe(second?.['id']);
  });

  it('asks for the password, and offers TLS with the certificates it names or not at all', async () => {
    await using secured = await startMysql({
      version: '9',
      password: 'correct horse',
      tls: true,
      settings: { 'require-secure-transport': 'ON' },
    });
    const ca = await readFile(secured.certificates!.ca, 'utf8');
    const connect = async (url: string, ssl: mysql.SslOptions | undefined): Promise<unknown> => {
      const connection = await mysql.createConnection({ uri: url, ...(ssl === undefined ? {} : { ssl }) });
      try {
        const [rows] = await connection.query<mysql.RowDataPacket[]>(`SHOW STATUS LIKE 'Ssl_version'`);
        return rows[0]?.['Value'];
      } finally {
        connection.destroy();
      }
    };
    expect(await connect(secured.url, { ca })).toBe('TLSv1.3');
    await expect(connect(secured.urlFor({ user: 'root', password: 'wrong' }), { ca })).rejects.toMatchObject({
      errno: 1045,
    });
    await expect(connect(secured.url, undefined)).rejects.toMatchObject({ errno: 3159 });
    await using plain = await startMysql({ version: '9' });
    await expect(connect(plain.url, { ca })).rejects.toMatchObject({ code: 'HANDSHAKE_NO_SSL_SUPPORT' });
  });
});
