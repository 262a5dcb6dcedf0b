import { readFile } from 'node:fs/promises';
import mysql from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { mariadbVersions, startMariadb, testMariadb } from '../support/servers.ts';

describe.each(mariadbVersions)('a MariaDB %s of a test', (version) => {
  it('is of that version, and logs rows with GTIDs', async () => {
    await using database = await testMariadb(version);
    await database.query('CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)');
    const [row] = await database.query(
      'SELECT VERSION() AS version, @@log_bin AS log, @@binlog_format AS format, @@gtid_binlog_pos AS gtids',
    );
    expect(row).toMatchObject({ log: 1, format: 'ROW', gtids: expect.stringMatching(/^0-1-\d+$/) });
    expect(String(row?.['version'])).toContain(`${version}.`);
    expect(new URL(database.url).protocol).toBe('mariadb:');
  });

  it('keeps its data over a crash, takes a password, and knows ed25519 and TLS', async () => {
    await using server = await startMariadb({
      version,
      password: 'secret',
      tls: true,
      settings: { 'plugin-load-add': 'auth_ed25519' },
    });
    await server.query(`CREATE DATABASE kept;
      CREATE USER e@'%' IDENTIFIED VIA ed25519 USING PASSWORD('curve');`);
    await server.crash();
    await server.start();
    expect(await server.query(`SHOW DATABASES LIKE 'kept'`)).toHaveLength(1);
    expect(await server.query(`SELECT plugin FROM mysql.user WHERE user = 'e'`)).toEqual([
      { plugin: 'ed25519' },
    ]);
    const ca = await readFile(server.certificates!.ca, 'utf8');
    const connection = await mysql.createConnection({ uri: server.url, ssl: { ca } });
    const [rows] = await connection.query<mysql.RowDataPacket[]>(`SHOW STATUS LIKE 'Ssl_version'`);
    connection.destroy();
    expect(rows[0]?.['Value']).toBe('TLSv1.3');
    await expect(
      mysql.createConnection(server.urlFor({ user: 'root', password: 'wrong' })),
    ).rejects.toMatchObject({
      errno: 1045,
    });
  });
});
