/** A MySQL that cannot be read: one sentence that names what and where, with exit 3, and the same from doctor. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type MysqlServer, startMysql } from '../support/servers.ts';
import {
  type Finished,
  headwater,
  logLines,
  type PipelineFile,
  pipelineFile,
  type Workspace,
  workspace,
} from './headwater.ts';

const PASSWORD = 'corr3ct-h0rse';

let files: Workspace;
let server: MysqlServer;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  server = await startMysql({ version: '9', password: PASSWORD });
  const user = (name: string, ...grants: readonly string[]): string =>
    [
      `CREATE USER ${name}@'%' IDENTIFIED BY '${PASSWORD}'`,
      ...grants.map((grant) => `GRANT ${grant} TO ${name}@'%'`),
    ].join('; ');
  const log = 'REPLICATION SLAVE, REPLICATION CLIENT ON *.*';
  await server.query(`CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY);
    INSERT INTO shop.orders VALUES (1);
    ${user('no_slave', 'SELECT ON shop.*', 'REPLICATION CLIENT ON *.*')};
    ${user('no_client', 'SELECT ON shop.*', 'REPLICATION SLAVE ON *.*')};
    ${user('no_select', log)};
    ${user('good', 'SELECT ON shop.*', log)}`);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

interface Attempt extends Finished {
  readonly name: string;
  readonly out: string;
  readonly doctor: Finished;
}

/** The same file through `run` and `doctor`. */
async function attempt(
  url: string,
  {
    tables = ['shop.orders'],
    source = [],
    more = [],
  }: Partial<Pick<PipelineFile, 'tables' | 'source' | 'more'>> = {},
): Promise<Attempt> {
  const name = `bad-${++count}`;
  const out = files.path(name);
  const file = await files.write(
    `${name}.yaml`,
    pipelineFile({ name, url, tables, path: out, source, more }),
  );
  const [run, doctor] = await Promise.all([headwater(['run', file]), headwater(['doctor', file])]);
  return { ...run, name, out, doctor };
}

async function expectRefusal(
  { name, out, exit, stderr, stdout, doctor }: Attempt,
  expected: { readonly code: string; readonly exit?: number; readonly says: RegExp; readonly fix?: RegExp },
): Promise<void> {
  const errors = logLines(stderr).filter(({ level }) => level === 'error');
  expect(errors, stderr).toHaveLength(1);
  const [error] = errors;
  expect(error).toMatchObject({ code: expected.code, pipeline: name });
  expect(error!.msg).toMatch(expected.says);
  expect(error!.msg).not.toContain('\n');
  expect(error!.advice).toMatch(expected.fix ?? /\w/);
  expect(exit).toBe(expected.exit ?? 3);
  expect(doctor.stdout).toMatch(expected.says);
  expect(doctor.exit).toBe(expected.exit ?? 3);
  for (const text of [stderr, stdout, doctor.stdout, doctor.stderr]) expect(text).not.toContain(PASSWORD);
  expect(await readFile(`${out}/records-00000001.jsonl`, 'utf8').catch(() => '')).toBe('');
}

const as = (user: string): string => server.urlFor({ user, password: PASSWORD });

describe('the address', () => {
  it('a host that does not exist', async () => {
    const url = new URL(as('good'));
    url.hostname = 'no-such-host.invalid';
    await expectRefusal(await attempt(url.href), {
      code: 'source.unreachable',
      says: /no-such-host\.invalid/,
    });
  });

  it('a port nobody listens on', async () => {
    const url = new URL(as('good'));
    url.port = String(await freePort());
    await expectRefusal(await attempt(url.href), { code: 'source.unreachable', says: new RegExp(url.port) });
  });

  it('a wrong password', async () => {
    const refused = await attempt(server.urlFor({ user: 'good', password: 'wr0ng-p4ss' }));
    await expectRefusal(refused, { code: 'source.auth-failed', says: /good/ });
    expect(refused.stderr + refused.doctor.stdout).not.toContain('wr0ng-p4ss');
  });

  it('a database that does not exist', async () => {
    const url = server.urlFor({ user: 'good', password: PASSWORD, database: 'shoop' });
    const refused = await attempt(url);
    expect(refused.exit).toBe(3);
    expect(refused.stderr).toMatch(/shoop/);
  });

  it('a table that does not exist', async () => {
    await expectRefusal(await attempt(as('good'), { tables: ['shop.ordrs'] }), {
      code: 'settings.no-table-matches',
      exit: 2,
      says: /shop\.ordrs/,
    });
  });
});

describe('the settings of a table', () => {
  it.each([
    ['a filter', 'enrich.statement-invalid', 'filter: "total > 1"', /filter of shop\.orders.*TOTAL/],
    ['a key', 'settings.key-column-missing', 'key: [number]', /key of shop\.orders .*number/],
  ])('%s names a column that there is not', async (_, code, rule, says) => {
    const more = [`tables: { shop.orders: { ${rule} } }`];
    await expectRefusal(await attempt(as('good'), { more }), { code, exit: 2, says });
  });
});

describe('the privileges', () => {
  it('may not read the log', async () => {
    await expectRefusal(await attempt(as('no_slave')), {
      code: 'source.privilege-missing',
      says: /no_slave.*REPLICATION SLAVE/s,
      fix: /GRANT .*REPLICATION SLAVE.* ON \*\.\* TO .*no_slave/,
    });
  });

  it('may not ask where the log is', async () => {
    await expectRefusal(await attempt(as('no_client')), {
      code: 'source.privilege-missing',
      says: /no_client.*REPLICATION CLIENT/s,
      fix: /GRANT .*REPLICATION CLIENT.* ON \*\.\* TO .*no_client/,
    });
  });

  it('may not read the table', async () => {
    const refused = await attempt(as('no_select'));
    expect(refused.stderr).toMatch(/shop\.orders/);
    expect(refused.doctor.stdout).toMatch(/GRANT SELECT ON/);
    expect(refused.doctor.exit).toBe(refused.exit);
    expect([2, 3]).toContain(refused.exit);
  });
});

describe('the log', () => {
  it.each([
    ['is off', { 'skip-log-bin': '1' }, 'source.binlog-off', /no binary log/],
    ['holds statements', { 'binlog-format': 'STATEMENT' }, 'source.binlog-format', /STATEMENT.*ROW/],
  ] as const)('%s', async (_, settings, code, says) => {
    await using other = await startMysql({ version: '9', settings });
    await other.query('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)');
    await expectRefusal(await attempt(other.url), { code, says });
  });

  it('is read under the server id of the server itself', async () => {
    await expectRefusal(await attempt(as('good'), { source: ['mysql: { server_id: 1 }'] }), {
      code: 'source.server-id-clash',
      says: /server id 1/,
      fix: /source\.mysql\.server_id/,
    });
  });
});
