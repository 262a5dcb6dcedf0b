/** What operators use beside a running daemon: the HTTP interface and the commands. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let name: string;
let file: string;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  database = await testDatabase();
  name = `${kafka.prefix}-op`;
  await database.query(
    'CREATE TABLE t (id int PRIMARY KEY, text text, price numeric(8, 2)); INSERT INTO t VALUES (1, null, -12.50)',
  );
  file = await files.write(
    'op.yaml',
    pipelineFile({
      name,
      url: database.url,
      tables: ['public.t'],
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${database.name} }`],
      http: `127.0.0.1:${await freePort()}`,
    }),
  );
});

afterAll(async () => {
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

const insert = (id: number): Promise<unknown> => database.query('INSERT INTO t VALUES ($1)', [id]);

describe('beside a running daemon', () => {
  it('doctor finds nothing wrong beforehand and makes nothing', async () => {
    const { exit, stdout } = await headwater(['doctor', '--json', file]);
    const findings = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { check: string; level: string });
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(findings.map(({ check }) => check)).toContain('kafka.transactions');
    expect(findings).toContainEqual(expect.objectContaining({ check: 'http.listen', level: 'ok' }));
    expect(exit).toBe(0);
    expect(
      await database.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [database.name]),
    ).toEqual([]);
    const status = await headwater(['status', file]);
    expect(status.stderr).toMatch(/http\.no-daemon/);
    expect(status.exit).toBe(3);
  });

  it('pages and commands tell what it does', async () => {
    await using run = new Headwater(['run', file]);
    await run.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    await insert(2);
    expect(summary(await readUntil(kafka.brokers, [`${name}.public.t`], sentinel(2)))).toEqual([
      'r:1',
      'c:2',
    ]);
    await run.until(({ caughtUp }) => caughtUp);
    for (const path of ['/livez', '/readyz', '/healthz', '/healthz?verbose', '/metrics', '/status', '/']) {
      expect([path, (await run.get(path)).status]).toEqual([path, 200]);
    }
    const metrics = (await run.get('/metrics')).body;
    expect(metrics).toMatch(/^headwater_total_number_of_create_events_seen\{[^}]*\} 1$/m);
    expect(metrics).toMatch(/^headwater_connected\{[^}]*\} 1$/m);
    // The page asks for the rest by itself: page.browser.test.ts.
    const script = /<script type="module" src="([^"]+)"/.exec((await run.get('/')).body)?.[1];
    expect(await run.get(`/${script}`)).toMatchObject({ status: 200 });

    const status = await headwater(['status', '--json', file]);
    expect(status.exit, status.stderr).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      pipelines: [
        { name, state: 'streaming', counters: { reads: 1, creates: 1 }, tables: [{ table: 'public.t' }] },
      ],
    });
    expect((await headwater(['status', file])).stdout).toContain(name);

    const doctor = await headwater(['doctor', file]);
    expect(doctor.stdout).toMatch(/✓ http\.listen: The daemon that runs .*-op listens on/);
    expect(doctor.exit, doctor.stdout).toBe(0);
    const other = pipelineFile({
      name: `${name}-other`,
      url: database.url,
      tables: ['public.t'],
      brokers: kafka.brokers,
      http: (await run.address()).replace('http://', ''),
    });
    const taken = await headwater(['doctor', await files.write('other.yaml', other)]);
    expect(taken.stdout).toMatch(/✗ http\.listen: .*another process listens/);
    expect(taken.exit).toBe(3);

    const shown = await headwater(['offsets', 'show', file]);
    expect(shown.stdout).toMatch(new RegExp(`^${name} resumes at \\{"lsn":"[0-9A-F]+/[0-9A-F]+"`));
    const refused = await headwater(['offsets', 'set', file, '{"lsn":"0/1","mid":null}', '--yes']);
    expect(refused.stderr).toMatch(/state\.locked/);
    expect(refused.exit).toBe(3);

    await using tail = new Headwater(['tail', '--from-beginning', '--json', file]);
    const lines = await tail.output((text) => text.split('\n').length > 2);
    expect(lines).toContain(`"topic":"${name}.public.t"`);
    expect((await tail.stop()).exit).toBe(0);
    // The profile writes -12.50 as base64; the type is known from the durable state.
    await using view = new Headwater(['tail', '--from-beginning', file]);
    expect(await view.output((text) => text.includes('price='))).toContain('price=-12.50');
    expect((await view.stop()).exit).toBe(0);
    expect((await run.stop()).exit).toBe(0);
  });

  it('offsets set moves to where the log can be read from, and nowhere else', async () => {
    const exported = await headwater(['offsets', 'export', file]);
    const path = await files.write('offsets.json', exported.stdout);
    await insert(3);
    expect((await runToEnd(file)).exit).toBe(0);
    const unasked = await headwater(['offsets', 'set', file, `@${path}`]);
    expect(unasked.exit).toBe(2);
    expect(unasked.stderr).toMatch(/--yes/);
    const before = (await headwater(['offsets', 'export', file])).stdout;
    // The slot has let go of what was before.
    const late = await headwater(['offsets', 'set', file, `@${path}`, '--yes']);
    expect(late.stderr).toMatch(/source\.position-lost.*cannot be read from .*slot .* stands at/);
    expect(late.exit).toBe(1);
    for (const nothing of ['{"lsn"', '{"lsn":"x"}', '7', '{"lsn":"FFFF/0"}']) {
      const refused = await headwater(['offsets', 'set', file, nothing, '--yes']);
      expect(refused.exit, refused.stderr).toBe(nothing.includes('FFFF') ? 1 : 2);
    }
    expect((await headwater(['offsets', 'export', file])).stdout).toBe(before);
    const [head] = await database.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
    const position = { lsn: head!.lsn };
    const moved = await headwater(['offsets', 'set', file, JSON.stringify(position), '--yes']);
    expect(moved.exit, moved.stderr).toBe(0);
    const after = JSON.parse((await headwater(['offsets', 'export', file])).stdout) as { position: unknown };
    expect(after.position).toEqual(position);
  });

  it('is not ready while it starts, and the token guards all but the health pages', async () => {
    const port = await freePort();
    const guarded = await files.write(
      'guarded.yaml',
      pipelineFile({
        name: `${name}-guarded`,
        url: database.url,
        tables: ['public.t'],
        path: files.path('guarded'),
        source: [`postgres: { slot: ${database.name}_g, publication: guarded }`],
      }).replace('listen: "127.0.0.1:0"', `listen: "0.0.0.0:${port}", token: s3cret-t0ken`),
    );
    // A transaction that is open keeps the slot from being made.
    const { default: pg } = await import('pg');
    const open = new pg.Client({ connectionString: database.url });
    await open.connect();
    await open.query('BEGIN; INSERT INTO t VALUES (100)');
    await using run = new Headwater(['run', guarded]);
    await run.line(({ msg }) => msg === 'HTTP interface is up');
    const get = (path: string, token?: string): Promise<Response> =>
      fetch(
        `http://127.0.0.1:${port}${path}`,
        token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
      );
    const ready = await get('/readyz');
    expect([ready.status, await ready.text()]).toEqual([503, `${name}-guarded is starting\n`]);
    expect((await get('/livez')).status).toBe(200);
    for (const path of ['/metrics', '/status', '/']) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, 'wrong')).status).toBe(401);
      expect((await get(path, 's3cret-t0ken')).status).toBe(200);
    }
    await open.query('ROLLBACK');
    await open.end();
    for (;;) if ((await get('/readyz')).status === 200) break;
    const status = await headwater(['status', guarded]);
    expect(status.exit, status.stderr).toBe(0);
    const { stderr, exit } = await run.stop();
    expect(stderr).not.toContain('s3cret');
    expect(exit).toBe(0);
  });
});
