/** `headwater sql` against the SQL interface over a program that reads a scripted log. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { itemsOf, objectText, tableText } from '../../src/cli/sql/result-text.ts';
import { prompt } from '../../src/cli/sql/prompt.ts';
import { SqlConsole } from '../../src/cli/sql/sql-console.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type Attempt, column, EnrichmentRig, table } from '../support/enrichment-rig.ts';
import { listenSql } from '../support/sql-listener.ts';

const ORDERS = table('orders', [column('id', { kind: 'int64' }), column('club', { kind: 'string' })], [0]);
const BIG = '9007199254740993';
const NEVER = new AbortController().signal;

let rig: EnrichmentRig;
let attempt: Attempt;
let server: HttpServer;
let written: string;

beforeEach(async () => {
  rig = new EnrichmentRig({
    sql: `CREATE SOURCE TABLE ORDERS WITH (CDC_TABLE = 'shop.public.orders');`,
    tables: [ORDERS],
    log: [
      [{ table: ORDERS, op: 'c', after: [BigInt(BIG), 'go\u001b[31mld'] }],
      [{ table: ORDERS, op: 'c', after: [2, 'tin'] }],
    ],
    snapshotAt: 1,
  });
  attempt = await rig.attempt();
  await attempt.snapshot([ORDERS]);
  attempt.commit();
  server = await listenSql({
    desk: rig.desk,
    token: 's3cret',
    change: async (_pipeline, edits) => {
      attempt = await rig.change(attempt, edits);
    },
  });
  written = '';
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await attempt.end();
  rig[Symbol.dispose]();
});

function sqlConsole(json = false, token = 's3cret'): SqlConsole {
  const listen = { host: '127.0.0.1', port: server.port };
  return new SqlConsole({ address: { listen, token }, json, write: (text) => (written += text) });
}

describe('headwater sql', () => {
  it('lays rows out as a table, with all digits, and nothing in them acts on the terminal', async () => {
    await sqlConsole().run('SELECT * FROM ORDERS; SHOW TABLES', NEVER);
    expect(written).toBe(
      [
        'ID               | CLUB',
        '-----------------+----------',
        `${BIG} | go [31mld`,
        '(1 row)',
        'name   | topic              | keyFormat | valueFormat | isWindowed',
        '-------+--------------------+-----------+-------------+-----------',
        'ORDERS | shop.public.orders | JSON      | JSON        | false',
        '',
      ].join('\n'),
    );
  });

  it('prints JSON, keeps what SET and DEFINE say, and follows a table from its beginning', async () => {
    const running = sqlConsole(true).run(
      `DEFINE t = 'ORDERS'; SET 'auto.offset.reset' = 'earliest'; SELECT ID FROM \${t} EMIT CHANGES LIMIT 2; DESCRIBE \${t};`,
      NEVER,
    );
    while (!written.includes(BIG)) await new Promise((resolve) => setTimeout(resolve, 5));
    await attempt.read(2, () => 1);
    attempt.commit();
    await running;
    const [first, second, described] = written.trimEnd().split('\n');
    expect([first, second]).toEqual([`{"ID":${BIG}}`, '{"ID":2}']);
    expect(described).toContain('"@type":"sourceDescription"');
  });

  it('makes and ends statements', async () => {
    await sqlConsole().run(
      `CREATE TABLE TIN AS SELECT ID, CLUB FROM ORDERS WHERE CLUB = 'tin'; DROP TABLE IF EXISTS NONE; DROP TABLE TIN;`,
      NEVER,
    );
    expect(written).toBe(
      [
        'Created query with ID CTAS_TIN_1',
        'There is no table NONE.',
        'Source `TIN` (topic: TIN) was dropped.',
        '',
      ].join('\n'),
    );
    expect(rig.state.has('enrich-made/1')).toBe(false);
  });

  it('says what is wrong, where, and with which code', async () => {
    await expect(sqlConsole().run('SELECT CLUP FROM ORDERS;', NEVER)).rejects.toMatchObject({
      code: 'enrich.statement-invalid',
      message: 'line 1:8: there is no column CLUP in ORDERS; did you mean CLUB?',
    });
    await expect(sqlConsole(false, 'wrong').run('SHOW TABLES;', NEVER)).rejects.toMatchObject({
      code: 'http.unauthorized',
    });
    const running = sqlConsole(true).run('SELECT ID FROM ORDERS EMIT CHANGES;', NEVER);
    while ([...rig.desk.running.values()].every(({ pushQueries }) => pushQueries === 0))
      await new Promise((resolve) => setTimeout(resolve, 5));
    await attempt.end();
    await expect(running).rejects.toMatchObject({ code: 'query.ended' });
    await server[Symbol.asyncDispose]();
    await expect(sqlConsole().run('SHOW TABLES;', NEVER)).rejects.toMatchObject({ code: 'http.no-daemon' });
  });

  it('has a prompt with statements over several lines, errors that do not end it, and a history of its own', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'headwater-sql-'));
    try {
      const historyFile = join(dir, 'state', 'history');
      const input = new PassThrough();
      // Lines are kept of what people type, which is at a terminal.
      const output = Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
      output.on('data', (part: Buffer) => (written += part.toString()));
      const done = prompt(sqlConsole(), { input, output, historyFile });
      input.write('SELECT CLUB FROM ORDRES;\nSELECT CLUB\nFROM ORDERS;\n');
      while (!written.includes('(1 row)')) await new Promise((resolve) => setTimeout(resolve, 5));
      input.write('exit\n');
      await done;
      expect(written).toContain('did you mean ORDERS?');
      expect(written).toContain('go [31mld');
      expect(readFileSync(historyFile, 'utf8').split('\n')).toContain('FROM ORDERS;');
      expect(statSync(historyFile).mode & 0o777).toBe(0o600);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('rows as text', () => {
  it('are cut at the commas between items alone', () => {
    expect(itemsOf('[1,"a,]\\"b",[1,{"x":"]"}],null,{"a":[1,2]}]')).toEqual([
      '1',
      '"a,]\\"b"',
      '[1,{"x":"]"}]',
      'null',
      '{"a":[1,2]}',
    ]);
    expect(itemsOf('[]')).toEqual([]);
    expect(objectText(['A', 'B'], '[1,"x"]')).toBe('{"A":1,"B":"x"}');
    expect(tableText(['A'], [])).toBe('A\n-\n');
  });
});
