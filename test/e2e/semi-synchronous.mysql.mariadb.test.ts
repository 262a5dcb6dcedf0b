/** A server whose commits wait for a replica that never answers: they are in the log long before anybody sees them. */
import { afterEach, describe, expect, it } from 'vitest';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

interface Product {
  readonly name: string;
  readonly start: () => Promise<MysqlServer>;
  readonly semiSynchronous: string;
  readonly asynchronous: string;
  /** It is asked for transactions that wait; MariaDB tells where each snapshot lies, and that is waited for. */
  readonly asked: boolean;
  /** Commits behind the first that reach the log while it waits. */
  readonly more: number;
}

const PRODUCTS: readonly Product[] = [
  {
    name: 'MySQL',
    start: () => startMysql({ version: '9' }),
    semiSynchronous: `INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';
      SET GLOBAL rpl_semi_sync_source_timeout = 3600000, GLOBAL rpl_semi_sync_source_enabled = ON`,
    asynchronous: 'SET GLOBAL rpl_semi_sync_source_enabled = OFF',
    asked: true,
    more: 3,
  },
  {
    name: 'MariaDB',
    start: () => startMariadb({ version: '11.8' }),
    semiSynchronous: `SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC,
      GLOBAL rpl_semi_sync_master_timeout = 3600000, GLOBAL rpl_semi_sync_master_enabled = ON`,
    asynchronous: 'SET GLOBAL rpl_semi_sync_master_enabled = OFF',
    asked: false,
    more: 1,
  },
];

/** What is to be over before the server goes. */
const atEnd: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of atEnd.splice(0)) await end();
});

function file(
  server: MysqlServer,
  files: Workspace,
  { where, more = [] }: { readonly where: string; readonly more?: readonly string[] },
): Promise<string> {
  const text = pipelineFile({
    name: 'sync',
    url: server.url,
    tables: ['d.a', 'd.b'],
    path: files.path('rows'),
    source: ['tls: { mode: disable }', 'mysql: { server_id: 5400 }'],
    more: [`snapshot: { where: { d.b: ${JSON.stringify(where)} } }`, ...more],
  });
  return files.write('sync.yaml', text);
}

describe.each(PRODUCTS)('$name: a commit that waits for a replica', (product) => {
  it('delivered before a restart, is no gap, and is not undone by rows that are read after it', async () => {
    await using files = await workspace();
    await using server = await product.start();
    await server.query(`CREATE DATABASE d; CREATE TABLE d.a (id INT PRIMARY KEY);
      CREATE TABLE d.b (id INT PRIMARY KEY, v TEXT); INSERT INTO d.b VALUES (1, 'old'), (2, 'old')`);
    // The first process cannot read b, and streams its changes.
    const first = new Headwater(['run', await file(server, files, { where: 'nonsense = 1' })]);
    await using _first = first;
    await first.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    await server.query(product.semiSynchronous);
    atEnd.push(() => server.query(product.asynchronous).catch(() => {}));
    const hanging = [server.query(`UPDATE d.b SET v = 'new' WHERE id = 1`)];
    await first.until(({ counters }) => counters.updates === 1);
    expect((await first.stop()).exit).toBe(0);

    const second = new Headwater(['run', await file(server, files, { where: 'true' })]);
    await using _second = second;
    await second.until(({ state }) => state === 'streaming');
    const waits = 'waiting for transactions that are not visible yet';
    if (product.asked) await second.line(({ msg }) => msg.startsWith(waits));
    // It streams on meanwhile, and has read b in vain by the time that these are through.
    for (let id = 1; id <= product.more; id++) {
      hanging.push(server.query(`INSERT INTO d.a VALUES (${id})`));
      await second.until(({ counters }) => counters.creates >= id);
    }
    expect(await server.query('SELECT v FROM d.b WHERE id = 1')).toEqual([{ v: 'old' }]);
    expect((await second.status())[0]!.counters.reads).toBe(0);
    await server.query(product.asynchronous);
    await second.until(({ snapshot }) => snapshot?.completedAt != null);
    await Promise.all(hanging);
    expect((await second.stop()).exit).toBe(0);
    const ofB = (await readFiles(files.path('rows'))).filter(({ topic }) => topic === 'sync.d.b');
    expect(summary(ofB)).toEqual(['u:1', 'r:1', 'r:2']);
    expect(summary(ofB, 'v')).toEqual(['u:new', 'r:new', 'r:old']);
  });
});
