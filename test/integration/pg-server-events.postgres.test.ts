/** What happens to the log and its readers when the server does something: each version on a server of its own. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PostgresPosition } from '../../src/readers/postgres/position.ts';
import { lineOf } from '../support/pgoutput-recording.ts';
import { makeReader, openReader, type PostgresReader, readToEnd } from '../support/postgres-reader.ts';
import {
  type PostgresServer,
  postgresVersions,
  startPostgres,
  type TestDatabase,
  testDatabase,
} from '../support/servers.ts';

describe.each(postgresVersions)('PostgreSQL %i', (version) => {
  let server: PostgresServer;
  let other: TestDatabase;

  beforeAll(async () => {
    server = await startPostgres({
      version,
      initdb: ['--wal-segsize=1'],
      settings: { wal_sender_timeout: '2s', min_wal_size: '2MB', max_wal_size: '8MB' },
    });
    await server.query('CREATE TABLE a (id int PRIMARY KEY, v text)');
    other = await testDatabase(version);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await other.drop();
  });

  const place = (name: string): { url: string; name: string } => ({ url: server.url, name });

  async function start(name: string): Promise<{ position: PostgresPosition; identity: string }> {
    await using reader = makeReader(place(name));
    return await opened(reader);
  }

  async function opened(reader: PostgresReader): Promise<{ position: PostgresPosition; identity: string }> {
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error(`expected a fresh log, got ${continuity.kind}`);
    return { position: continuity.start, identity };
  }

  async function gapOf(name: string, stored: Parameters<typeof openReader>[1]): Promise<string> {
    await using reader = makeReader(place(name));
    const { continuity } = await openReader(reader, stored);
    return continuity.kind === 'gap' ? continuity.reason : continuity.kind;
  }

  it('keeps the connection of a reader whose consumer pauses for longer than wal_sender_timeout', async () => {
    await using reader = makeReader(place('paused'));
    const { position } = await opened(reader);
    await server.query(`INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i`);
    const pid = async (): Promise<number | null> => {
      const [slot] = await server.query<{ active_pid: number | null }>(
        `SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'paused'`,
      );
      return slot!.active_pid;
    };
    const stop = new AbortController();
    let rows = 0;
    let before: number | null = null;
    for await (const batch of reader.read(position, stop.signal)) {
      if (rows === 0 && batch.changes.length > 0) {
        before = await pid();
        expect(before).not.toBeNull();
        await new Promise((resolve) => setTimeout(resolve, 6_000));
        expect(await pid()).toBe(before);
      }
      rows += batch.changes.filter(({ kind }) => kind === 'row').length;
      if (rows >= 30_000) {
        expect(await pid()).toBe(before);
        stop.abort();
      }
    }
    expect(rows).toBe(30_000);
  });

  it('says that a slot which fell behind max_slot_wal_keep_size is lost, and begins anew', async () => {
    const stored = await start('lost');
    await server.query(`SELECT pg_drop_replication_slot('paused')`);
    await server.reload({ max_slot_wal_keep_size: '2MB' });
    await server.query(`INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(40001, 60000) i`);
    await server.query('SELECT pg_switch_wal()');
    await server.query('CHECKPOINT');
    expect(
      await server.query(`SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'lost'`),
    ).toEqual([{ wal_status: 'lost' }]);
    await using strict = makeReader(place('lost'), { onGap: 'fail' });
    await expect(openReader(strict, stored)).rejects.toMatchObject({ code: 'source.position-lost' });
    await using reader = makeReader(place('lost'));
    const { continuity } = await openReader(reader, stored);
    if (continuity.kind !== 'gap') throw new Error(`expected a gap, got ${continuity.kind}`);
    expect(continuity.reason).toContain('invalidated the replication slot lost');
    await server.reload({ max_slot_wal_keep_size: '-1' });
    await server.query(`INSERT INTO a VALUES (70000, 'y')`);
    const { changes } = await readToEnd(reader, continuity.start);
    expect(changes.filter(({ kind }) => kind === 'row').map(lineOf)).toEqual(['c a [70000, y]']);
  });

  it('tells another database system, and never resumes there', async () => {
    await using elsewhere = makeReader(other);
    await other.query('CREATE TABLE a (id int PRIMARY KEY, v text)');
    const stored = await opened(elsewhere);
    expect(await gapOf('moved', { ...stored, position: { lsn: 1, mid: null } })).toContain(
      'another database system',
    );
  });

  it('goes on over a switch of the timeline, unless the checkpoint is not of this history', async () => {
    const stored = await start('promoted');
    await server.query(`INSERT INTO a VALUES (80001, 'before')`);
    await server.stop();
    const signalFile = join(server.dataDir, 'standby.signal');
    await writeFile(signalFile, '');
    await chmod(signalFile, 0o666); // the server runs as another user where the tests are root's
    await server.start();
    expect(await server.query('SELECT pg_is_in_recovery() AS standby, pg_promote() AS promoted')).toEqual([
      { standby: true, promoted: true },
    ]);
    await server.query(`INSERT INTO a VALUES (80002, 'after')`);
    {
      await using reader = makeReader(place('promoted'));
      const { continuity, identity } = await openReader(reader, stored);
      expect(continuity.kind).toBe('continuous');
      expect(JSON.parse(stored.identity)).toMatchObject({ timeline: 1 });
      expect(JSON.parse(identity)).toMatchObject({ timeline: 2 });
      const { changes } = await readToEnd(reader, stored.position);
      expect(changes.filter(({ kind }) => kind === 'row').map(lineOf)).toEqual([
        'c a [80001, before]',
        'c a [80002, after]',
      ]);
    }
    // As if the old primary had written on, and we had read it.
    const [now] = await server.query<{ lsn: string }>(
      `SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`,
    );
    const position = { lsn: Number(now!.lsn), mid: null };
    expect(await gapOf('promoted', { ...stored, position })).toContain('left timeline 1 at');
    const identity = identityOn(stored.identity, 7);
    const stranger = await start('stranger');
    expect(
      await gapOf('stranger', { ...stranger, identity: identity.replace('promoted', 'stranger') }),
    ).toContain('timeline 2 does not come from 7');
  });
});

function identityOn(identity: string, timeline: number): string {
  return JSON.stringify({ ...(JSON.parse(identity) as object), timeline });
}
