import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorsOf, exitCodeOf, formatErrors } from '../../src/cli/print-error.ts';
import { statusText } from '../../src/cli/status-text.ts';
import { readableDecimals } from '../../src/cli/readable-decimals.ts';
import { describeBriefly, describeRecord } from '../../src/cli/tail-view.ts';
import { decimalBase64 } from '../../src/emitter/encoders/decimal-bytes.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { ColumnType } from '../../src/model/table.ts';
import { createPinoLog } from '../../src/observability/pino-log.ts';
import { formatBytes, formatCount, formatDuration } from '../../src/observability/quantities.ts';
import { redact, Secret } from '../../src/settings/secret.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SECRET = 'planted-in-the-environment';
const GOOD = (more = ''): string => `name: cli-test
source:
  url: postgres://nobody@127.0.0.1:1/none
  password: \${env:CLI_TEST_SECRET}
  tables: [public.orders]
  connect_timeout: 1s
emit:
  stdout: {}
${more}`;

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headwater-cli-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function headwater(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, CLI_TEST_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  child.stderr.on('data', (part: Buffer) => (err += part.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(out + err).not.toContain(SECRET);
  return { code, out, err };
}

async function settingsFile(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

describe('the command line as a process', () => {
  test('--version', async () => {
    expect(await headwater('--version')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as unknown,
    });
  });

  test.each(['run', 'validate', 'doctor', 'status', 'offsets', 'tail', 'settings'])(
    '%s --help has an example',
    async (name) => {
      const { code, out } = await headwater(name, '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`Examples:\\n  headwater ${name} `));
    },
  );

  test.each([
    [[], 'no command is given'],
    [['vaildate', 'x'], 'did you mean validate?'],
    [['validate'], 'arguments are missing (0 given, 1 needed)'],
    [['run', 'x.yaml', '--until-cought-up'], 'Unknown argument'],
    [['settings', 'scheme'], 'Choices: "schema"'],
  ])('%j is refused with 2', async (args, says) => {
    const { code, out, err } = await headwater(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('error[usage]');
    expect(err).toContain(says);
    expect(err).not.toMatch(/^ {4}at /m);
  });

  test('validate says what a good file does', async () => {
    const file = await settingsFile('good.yaml', GOOD());
    expect(await headwater('validate', file)).toEqual({
      code: 0,
      out: `${file}: valid; pipeline cli-test reads none at 127.0.0.1:1 and writes to stdout\n`,
      err: '',
    });
  });

  test.each([[[]], [['--json']]])('validate %j with a bad one', async (more) => {
    const file = await settingsFile('bad.yaml', GOOD().replace('tables:', 'tabels:'));
    const { code, out, err } = await headwater('validate', file, ...more);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const sentence = `${file}:5: unknown key source.tabels; did you mean source.tables?`;
    if (more.length === 0) expect(err.split('\n')[0]).toBe(`error[settings.invalid] ${sentence}`);
    else
      expect(JSON.parse(err)).toMatchObject({
        code: 'settings.invalid',
        msg: sentence,
        details: { line: 5 },
      });
  });

  test('run without a database ends with 3 and names the place', async () => {
    const file = await settingsFile('away.yaml', GOOD("http: { listen: '127.0.0.1:0' }\n"));
    const { code, err } = await headwater('run', file);
    expect(code).toBe(3);
    const lines = err
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ level: 'error', pipeline: 'cli-test', code: 'source.unreachable' });
    expect(lines.at(-1)!.msg).toContain('127.0.0.1:1');
  });

  test('run with a port that is taken ends with 3 before anything else', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const file = await settingsFile('taken.yaml', GOOD(`http: { listen: '127.0.0.1:${port}' }\n`));
    const { code, err } = await headwater('run', file);
    expect(code).toBe(3);
    expect(err.split('\n')[0]).toBe(
      `error[http.port-in-use] http.listen: another process listens on 127.0.0.1:${port} already.`,
    );
    other.close();
  });

  test('status without a daemon ends with 3', async () => {
    const file = await settingsFile('quiet.yaml', GOOD("http: { listen: '127.0.0.1:1' }\n"));
    const { code, err } = await headwater('status', file);
    expect(code).toBe(3);
    expect(err).toContain('error[http.no-daemon] No daemon answers at 127.0.0.1:1.');
  });

  test('doctor without a database ends with 3 and a finding', async () => {
    const file = await settingsFile('doctor.yaml', GOOD());
    const { code, out } = await headwater('doctor', file, '--json');
    expect(code).toBe(3);
    const findings = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(findings).toContainEqual(expect.objectContaining({ level: 'error', code: 'source.unreachable' }));
  });

  test('what is generated from the code is up to date', async () => {
    const child = spawn(process.execPath, ['scripts/generate-docs.ts', '--check'], { cwd: ROOT });
    let err = '';
    child.stderr.on('data', (part: Buffer) => (err += part.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(err).toBe('');
    expect(code).toBe(0);
  });
});

describe('errors for people', () => {
  test('advice that several share stands once', () => {
    const errors = ['a', 'b'].map((message) => new HeadwaterError('settings.invalid', message));
    expect(formatErrors(errors, false)).toBe(
      `error[settings.invalid] a\nerror[settings.invalid] b\n  → ${errors[0]!.advice}\n`,
    );
  });

  test('what nobody expected is a bug with its stack, and code 1', () => {
    const errors = errorsOf(new TypeError('x is not a function'));
    expect(exitCodeOf(errors)).toBe(1);
    expect(formatErrors(errors, false)).toMatch(/^error\[internal\.bug\] x is not a function\nTypeError: /);
  });

  test('the exit code is that of the most particular', () => {
    const codes = ['delivery.closed', 'settings.invalid', 'http.port-in-use'] as const;
    const errors = codes.map((code) => new HeadwaterError(code, ''));
    expect(exitCodeOf(errors)).toBe(3);
    expect(exitCodeOf(errorsOf(new AggregateError(errors.slice(0, 2))))).toBe(2);
  });
});

describe('the log', () => {
  function lines(format: 'json' | 'text'): { log: ReturnType<typeof createPinoLog>; written: string[] } {
    const written: string[] = [];
    const log = createPinoLog({ level: 'info', format, redact, write: (line) => written.push(line) });
    return { log, written };
  }

  test('JSON lines with what children carry, from the level on', () => {
    const { log, written } = lines('json');
    log.debug({}, 'not this');
    log.child({ pipeline: 'shop' }).warn({ rows: 3 }, 'a sentence');
    expect(written.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 'warn', time: expect.any(String) as unknown, pipeline: 'shop', rows: 3, msg: 'a sentence' },
    ]);
  });

  test('text for people', () => {
    const { log, written } = lines('text');
    log.child({ pipeline: 'shop' }).error({ code: 'a.b', advice: 'do this' }, 'a sentence');
    expect(written.join('')).toMatch(/^\d\d:\d\d:\d\d error\[a\.b\] shop: a sentence\n {2}→ do this\n$/);
  });

  test.each(['json', 'text'] as const)('%s masks secrets, also inside errors', (format) => {
    const { log, written } = lines(format);
    const secret = new Secret('planted "in" a log');
    log.error({ secret, err: new Error(`bad password ${secret.reveal()}`) }, `x ${secret.reveal()}`);
    expect(written.join('')).not.toMatch(/planted|in\\" a log/);
    expect(written.join('')).toContain('[secret]');
  });
});

describe('delivered records for people', () => {
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const describeEvent = (value: unknown, key: unknown = { id: 1 }): string | null =>
    describeRecord({ topic: 'shop.public.t', key: bytes(key), value: bytes(value), timestamp: 0 }, false);
  const source = { schema: 'public', table: 't' };

  test('an update shows what changed', () => {
    const before = { id: 1, a: 'x', b: [1] };
    expect(describeEvent({ before, after: { ...before, a: 'y' }, source, op: 'u' })).toBe(
      '00:00:00.000 update public.t [id=1]\n    a: x → y\n',
    );
  });

  test('others show the row', () => {
    expect(describeEvent({ before: null, after: { id: 1, a: null }, source, op: 'c' })).toBe(
      '00:00:00.000 insert public.t [id=1]  id=1 a=null\n',
    );
    expect(describeEvent({ before: { id: 1 }, after: null, source, op: 'd' })).toContain(
      'delete public.t [id=1]  id=1',
    );
  });

  test('a delete of which the log holds the key alone says so, instead of nulls', () => {
    const deleted = (before: object): string | null =>
      describeEvent({ before, after: null, source, op: 'd' });
    expect(deleted({ id: 1, a: null, b: null })).toBe(
      '00:00:00.000 delete public.t [id=1]  (of the deleted row the log holds the key alone)\n',
    );
    expect(deleted({ id: 1, a: null, b: 'x' })).toContain('[id=1]  id=1 a=null b=x');
    const record = { topic: 't', key: bytes({ id: 1 }), timestamp: 0 };
    const event = { before: { id: 1, a: null }, after: null, source, op: 'd' };
    expect(describeBriefly({ ...record, value: bytes(event) }, 'tx 7', false)).toContain('the key alone)');
  });

  test('decimals of Debezium’s profile as numbers, where the types are known', () => {
    const decimal = (scale: number | null): ColumnType => ({ kind: 'decimal', precision: null, scale });
    const types = new Map<string, ColumnType>([
      ['id', decimal(0)],
      ['price', decimal(2)],
      ['any', decimal(null)],
      ['many', { kind: 'array', element: decimal(1) }],
      ['note', { kind: 'string' }],
    ]);
    const shown = (after: object): string | null =>
      describeRecord(
        {
          topic: 'shop.public.t',
          key: bytes({ id: 'AQ==' }),
          value: bytes({ before: null, after, source, op: 'c' }),
          timestamp: 0,
        },
        false,
        (table) => (table === 'public.t' ? types : undefined),
      );
    const any = { scale: -2, value: 'AQ==' };
    expect(shown({ price: '+x4=', any, many: ['BQ==', null], note: 'AQ==' })).toBe(
      '00:00:00.000 insert public.t [id=1]  price=-12.50 any=100 many=["0.5",null] note=AQ==\n',
    );
    // Not what the profile writes: shown as it is.
    expect(shown({ price: 'NaN!', any: { scale: 'x' } })).toContain('price=NaN! any={"scale":"x"}');
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.integer({ min: 0, max: 30 }),
        (n, scale) => {
          const digits = String(n < 0n ? -n : n).padStart(scale + 1, '0');
          const text = `${n < 0n ? '-' : ''}${scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`}`;
          const row = { price: decimalBase64(text, scale) };
          expect(readableDecimals(row, new Map([['price', decimal(scale)]]))).toEqual({ price: text });
        },
      ),
    );
  });

  test('with a schema the payload', () => {
    const payload = { before: null, after: { id: 1 }, source, op: 'r' };
    expect(describeEvent({ schema: {}, payload }, { schema: {}, payload: { id: 1 } })).toContain(
      'read   public.t [id=1]  id=1',
    );
  });

  test('tombstones say nothing, and what is no event is shown as it is', () => {
    expect(describeRecord({ topic: 't', key: null, value: null, timestamp: 0 }, false)).toBeNull();
    expect(describeEvent([1])).toBe('00:00:00.000 shop.public.t [1]\n');
    const torn = { topic: 't', key: null, value: new Uint8Array([0xff, 0x7b]), timestamp: 0 };
    expect(describeRecord(torn, false)).toBe('00:00:00.000 t not JSON\n');
  });

  test('a value cannot act on the terminal', () => {
    expect(describeEvent({ after: { a: '\u001b[2Jx\u009b' }, source, op: 'c' })).not.toMatch(
      /\p{Cc}(?<!\n)/u,
    );
  });
});

test('status for people names what is wrong', () => {
  const text = statusText(
    {
      version: '1',
      startedAt: '2026-01-01T00:00:00Z',
      pipelines: [
        {
          name: 'shop',
          connector: 'postgresql',
          state: 'backing-off',
          since: '2026-01-01T00:00:00Z',
          warnings: ['source.tables: public.gone matches no table in database shop.'],
          capture: { mode: 'log', reason: null },
          heldBy: null,
          lastError: {
            code: 'source.unreachable',
            message: 'Nothing answers.',
            advice: 'Start it.',
            at: '2026-01-01T00:00:00Z',
          },
          attempts: 1,
          retryInMs: 4000,
          position: null,
          confirmed: null,
          sourceHead: null,
          retainedBytes: null,
          retainedBudgetBytes: null,
          headroomMs: 7_200_000,
          lagMs: null,
          caughtUp: false,
          progressing: false,
          lastDeliveryAt: null,
          counters: {
            creates: 0,
            updates: 0,
            deletes: 0,
            reads: 0,
            truncates: 0,
            filtered: 0,
            messages: 0,
            transactions: 0,
            records: 0,
            recordBytes: 0,
            commits: 0,
            sourceBytes: 0,
            disconnects: 0,
          },
          eventsPerSecond: 0,
          recent: { sampleMs: 5000, until: '2026-01-01T00:00:00Z', recordsPerSecond: [], lagMs: [] },
          queries: [],
          snapshot: null,
          tables: [
            {
              table: 'public.a',
              topic: 'shop.public.a',
              state: 'streaming',
              code: null,
              reason: null,
              advice: null,
              snapshot: null,
              schemaVersion: null,
              deadLetters: 2,
              lastDeadLetter: {
                code: 'internal.bug',
                message: 'What is this?',
                advice: '',
                at: '2026-01-01T00:00:00Z',
              },
              limitation: null,
              rowsSnapshotted: 0,
              estimatedRows: null,
              events: 3,
              lastEventAt: null,
            },
          ],
        },
      ],
    },
    Date.parse('2026-01-01T00:00:10Z'),
  );
  expect(text).toContain('○ shop (postgresql): backing-off since 10 s');
  expect(text).toContain(
    '! source.unreachable, 10 s ago, tries again in 4.0 s: Nothing answers.\n    → Start it.',
  );
  expect(text).toContain('! the source advances and nothing is delivered');
  expect(text).toContain('the source keeps what is not delivered for 2 h 0 min more');
  expect(text).toContain('! source.tables: public.gone matches no table in database shop.');
  expect(text).toContain(
    '! 2 changes in the dead-letter topic, the last 10 s ago (internal.bug): What is this?',
  );
});

test('figures', () => {
  expect([0, 999, 1000, 1234567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([0, 999, 1234, 99_400, 999_600, 20e9].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.2 kB',
    '99 kB',
    '1.0 MB',
    '20 GB',
  ]);
  expect([5, 1500, 59_900, 125_000, 12_000_000, 200_000_000].map(formatDuration)).toEqual([
    '5 ms',
    '1.5 s',
    '1 min 0 s',
    '2 min 5 s',
    '3 h 20 min',
    '2 d 7 h',
  ]);
});
