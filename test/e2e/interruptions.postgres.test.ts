/** What happens to a machine: a service that is stopped while it reads tables, a database that is still starting, a clock that is set. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import type { JsonValue } from '../../src/model/position.ts';
import { testDatabase } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

it('SIGTERM in the middle of a snapshot: the next start reads on, and no row comes twice', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const path = files.path('out');
  const rows = 120_000;
  await database.query(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, ${rows}) n`);
  const file = await files.write(
    'shop.yaml',
    pipelineFile({
      name: database.name,
      url: database.url,
      tables: ['public.t'],
      path,
      more: ['snapshot: { parallelism: 1, chunk_rows: 5000 }'],
    }),
  );
  await using run = new Headwater(['run', file]);
  await run.until(({ snapshot, counters }) => counters.reads > 0 || snapshot?.completedAt != null);
  expect((await run.stop()).exit).toBe(0);
  const before = (await readFiles(path)).length;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(rows);
  await database.query(`INSERT INTO t VALUES (${rows + 1}, 'new'); DELETE FROM t WHERE id = 1`);
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  const records = await readFiles(path);
  const seen = new Map<unknown, string>();
  for (const { value } of records) {
    if (value === null) continue;
    const id = (value.after ?? value.before)!['id'];
    seen.set(id, (seen.get(id) ?? '') + value.op);
  }
  expect(seen.size).toBe(rows + 1);
  // A row that was not there any more when its turn came may have left nothing but its end.
  expect(['rd', 'd']).toContain(seen.get(1));
  expect(seen.get(rows + 1)).toMatch(/^(r|c|cr)$/);
  seen.delete(1);
  seen.delete(rows + 1);
  expect(new Set(seen.values())).toEqual(new Set(['r']));
});

/** Before a real server; answers like one that replays its log, as long as it is told to. */
class StartingUp implements AsyncDisposable {
  starting = true;
  refused = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => {
      this.#keep(client);
      if (!this.starting) {
        const server = this.#keep(connect(target));
        client.pipe(server).pipe(client);
        return;
      }
      client.once('data', () => {
        this.refused++;
        client.end(errorResponse('57P03', 'the database system is starting up'));
      });
    });
  }

  static async before(url: string): Promise<{ readonly proxy: StartingUp; readonly url: string }> {
    const to = new URL(url);
    const proxy = new StartingUp({ host: to.hostname, port: Number(to.port) });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const address = proxy.#server.address();
    to.port = String(typeof address === 'object' ? address?.port : '');
    to.searchParams.set('sslmode', 'disable');
    return { proxy, url: to.toString() };
  }

  /** As a crash cuts off everybody. */
  crash(): void {
    this.starting = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.crash();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** https://www.postgresql.org/docs/current/protocol-error-fields.html */
function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

it('a database that is still recovering is said to be so at the first start, and waited for later', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const { proxy, url } = await StartingUp.before(database.url);
  await using _ = proxy;
  const path = files.path('out');
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  const file = await files.write(
    'shop.yaml',
    pipelineFile({ name: database.name, url, tables: ['public.t'], path }),
  );
  const early = await runToEnd(file);
  expect(early.exit).toBe(3);
  expect(early.stderr).toContain('the database system is starting up');
  expect(early.stderr).toContain('source.unreachable');
  proxy.starting = false;
  await using run = new Headwater(['run', file]);
  await run.until(({ state, counters }) => state === 'streaming' && counters.reads === 1);
  const { refused } = proxy;
  proxy.crash();
  await database.query('INSERT INTO t VALUES (2)');
  await run.until(() => proxy.refused >= refused + 3);
  proxy.starting = false;
  await run.until(({ state, counters }) => state === 'streaming' && counters.creates === 1);
  expect((await run.stop()).exit).toBe(0);
  expect((await readFiles(path)).map(({ value }) => value!.after!['id'])).toEqual([1, 2]);
});

it('a clock that is set back or forward changes nothing in what is measured', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const path = files.path('out');
  await database.query('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)');
  const file = await files.write(
    'shop.yaml',
    pipelineFile({ name: database.name, url: database.url, tables: ['public.t'], path }),
  );
  const clock = await files.write(
    'clock.mjs',
    `const real = Date.now.bind(Date);
    const steps = [-3600_000, 7200_000];
    let offset = 0;
    Date.now = () => real() + offset;
    process.on('SIGUSR2', () => { offset = steps.shift() ?? 0; });`,
  );
  const existing = process.env['NODE_OPTIONS'] ?? '';
  await using run = new Headwater(['run', file], {
    NODE_OPTIONS: `${existing} --import ${pathToFileURL(clock).href}`,
  });
  await run.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
  for (const id of [1, 2]) {
    await database.query(`INSERT INTO t VALUES (${id})`);
    await run.until(({ counters }) => counters.creates === id);
    run.signal('SIGUSR2');
    // Nothing of it is captured: the position alone moves, after a while.
    const [other] = await database.query<{ lsn: string }>(
      `INSERT INTO other VALUES (${id}) RETURNING pg_current_wal_insert_lsn() AS lsn`,
    );
    const moved = await run.until(({ confirmed }) => lsnOf(confirmed) > bytesOf(other!.lsn));
    expect(moved).toMatchObject({ state: 'streaming', progressing: true });
  }
  const { exit, stderr } = await run.stop();
  expect(exit).toBe(0);
  expect(stderr).not.toContain('"level":"warn"');
  expect(await readFiles(path)).toHaveLength(2);
});

function lsnOf(position: JsonValue): number {
  if (typeof position !== 'object' || position === null || !('lsn' in position)) return -1;
  return typeof position.lsn === 'string' ? bytesOf(position.lsn) : -1;
}

/** `0/16B3748`, in bytes. */
function bytesOf(lsn: string): number {
  const [high, low] = lsn.split('/').map((part) => Number.parseInt(part, 16));
  return high! * 2 ** 32 + low!;
}
