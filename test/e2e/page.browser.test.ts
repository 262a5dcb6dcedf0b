/** The page at `/` in a real Chromium, against the real HTTP interface. */
import { mkdir } from 'node:fs/promises';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { PipelineRequest } from '../../src/daemon/requests.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { type HttpServer, startHttp } from '../../src/http/server.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { PipelineStatus, TableStatus } from '../../src/observability/status.ts';
import { startChromium } from '../support/chromium.ts';
import { RUNNING } from '../support/pipeline-status.ts';

const TOKEN = 'a long enough token';
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

let browser: Browser;
let server: HttpServer | null = null;
let status: readonly PipelineStatus[] = [];
let asked: { name: string; request: PipelineRequest }[] = [];
let refusal: HeadwaterError | null = null;
/** What a page did that its policy or its code does not allow. */
let complaints: string[] = [];

beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser?.close());
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await server?.[Symbol.asyncDispose]();
  server = null;
  asked = [];
  refusal = null;
  complaints = [];
});

async function serve(token: string | null): Promise<string> {
  server = await startHttp({
    listen: { host: '127.0.0.1', port: 0 },
    token,
    version: '1.2.3',
    status: () => status,
    administration: {
      carryOut: (name, request) => {
        asked.push({ name, request });
        if (refusal !== null) return Promise.reject(refusal);
        return Promise.resolve({ pipeline: name, action: request.action, tables: [] });
      },
      reload: () => Promise.resolve({ started: [], changed: [], stopped: [], atRestart: [] }),
    },
    log: SILENT,
  });
  return `http://127.0.0.1:${server.port}/`;
}

async function open(
  pipelines: readonly PipelineStatus[],
  { token = null, ...options }: BrowserContextOptions & { token?: string | null } = {},
): Promise<Page> {
  status = pipelines;
  const address = await serve(token);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(address);
  await page.locator('.pipeline').first().waitFor();
  return page;
}

const NOW = Date.now();
const at = (secondsAgo: number): string => new Date(NOW - secondsAgo * 1_000).toISOString();

function table(n: number, rest: Partial<TableStatus> = {}): TableStatus {
  return {
    ...RUNNING.tables[0]!,
    table: `public.t${n}`,
    topic: `shop.public.t${n}`,
    state: 'streaming',
    code: null,
    reason: null,
    snapshot: 'done',
    deadLetters: 0,
    lastDeadLetter: null,
    schemaVersion: 1 + (n % 3),
    rowsSnapshotted: 1_000 * n,
    events: 1_234 * n,
    lastEventAt: at(n),
    ...rest,
  };
}

const WAVE = Array.from({ length: 119 }, (_, n) =>
  Math.round(4_000 + 3_000 * Math.sin(n / 9) + (n % 5) * 200),
);

const SHOP: PipelineStatus = {
  ...RUNNING,
  since: at(7_300),
  lastError: {
    code: 'source.unreachable',
    message: 'Nothing answers at db:5432',
    advice: 'Look whether the server runs, and whether a firewall lets this machine through.',
    at: at(7_400),
  },
  warnings: [],
  lagMs: 340,
  lastDeliveryAt: at(1),
  retainedBytes: 25_000_000_000,
  retainedBudgetBytes: 20_000_000_000,
  eventsPerSecond: 4_321,
  recent: {
    sampleMs: 5_000,
    until: at(0),
    recordsPerSecond: WAVE,
    lagMs: WAVE.map((value, n) => (n < 20 ? null : value / 10)),
  },
  snapshot: {
    running: true,
    paused: false,
    startedAt: at(300),
    completedAt: null,
    tablesTotal: 6,
    tablesDone: 3,
    tablesFailed: 1,
    rows: 1_234_567,
    estimatedRows: 4_000_000,
    rowsPerSecond: 41_000,
    remainingMs: 67_000,
  },
  tables: [
    table(1, { table: 'public.orders', topic: 'shop.public.orders' }),
    table(2, {
      table: 'public.customers',
      topic: 'shop.public.customers',
      state: 'snapshotting',
      snapshot: 'reading',
      rowsSnapshotted: 234_000,
      estimatedRows: 3_000_000,
    }),
    table(3, {
      table: 'public.payments',
      topic: 'shop.public.payments',
      state: 'quarantined',
      snapshot: 'failed',
      code: 'snapshot.table-unreadable',
      reason: 'The role headwater may not read public.payments.',
      advice: 'GRANT SELECT ON public.payments TO headwater',
    }),
    table(4, {
      table: 'public.audit',
      topic: 'shop.public.audit',
      limitation:
        'Updates and deletes are not captured: public.audit has no key. ALTER TABLE public.audit REPLICA IDENTITY FULL',
    }),
    table(5, {
      table: 'public.invoices',
      topic: 'shop.public.invoices',
      deadLetters: 3,
      lastDeadLetter: {
        code: 'delivery.record-too-large',
        message: 'A record of public.invoices has 1.4 MB, and the topic takes 1.0 MB.',
        advice: 'Raise max.message.bytes of the topic.',
        at: at(400),
      },
    }),
    table(6, {
      table: 'public.products',
      topic: 'shop.public.products',
      state: 'waiting',
      snapshot: 'waiting',
    }),
  ],
  queries: [
    {
      id: 'CSAS_RATINGS_1',
      statement: "CREATE STREAM RATINGS WITH (KAFKA_TOPIC='ratings') AS SELECT * FROM …",
      topic: 'ratings',
      records: 12_345,
      problems: 2,
      problemsByKind: { cast: 2 },
      paused: null,
    },
  ],
};

const CRM: PipelineStatus = {
  ...RUNNING,
  name: 'crm',
  connector: 'mysql',
  state: 'backing-off',
  since: at(12),
  lastError: {
    code: 'source.access-denied',
    message: 'The server db2:3306 refuses the user headwater.',
    advice: 'Look at source.url and source.password.',
    at: at(12),
  },
  warnings: ['source.tables: crm.gone matches no table in database crm.'],
  retryInMs: 4_200,
  progressing: false,
  lagMs: null,
  headroomMs: 3_000_000,
  lastDeliveryAt: null,
  eventsPerSecond: 0,
  recent: { sampleMs: 5_000, until: at(0), recordsPerSecond: WAVE.map(() => 0), lagMs: WAVE.map(() => null) },
  snapshot: null,
  tables: [],
};

test('shows what there is to know of a pipeline, and what to do about it', async () => {
  const page = await open([SHOP, CRM]);
  const text = await page.locator('body').innerText();
  for (const part of [
    '1 of 2 pipelines ready · 2 tables need attention',
    'Under way: 3 of 6 tables · 1,234,567 rows · 1 given up · 41,000 a second · about 1 min 7 s left',
    '25 GB of 20 GB',
    'The role headwater may not read public.payments.',
    'GRANT SELECT ON public.payments TO headwater',
    'snapshot.table-unreadable',
    '3 in the dead-letter topic, the last 6 min 0 s ago: A record of public.invoices',
    'Earlier: Nothing answers at db:5432',
    'Look at source.url and source.password.',
    'CSAS_RATINGS_1 → ratings · 12,345 records',
    'Records a second 4.32K',
    'at most 7.8K',
  ])
    expect.soft(text).toContain(part);
  expect(await page.title()).toBe('⚠ Headwater');
  // What needs somebody comes first.
  const names = await page
    .locator('tr td.name')
    .evaluateAll((cells) => cells.map((cell) => cell.firstChild?.textContent));
  expect(names.slice(0, 2)).toEqual(['public.payments', 'public.invoices']);
  const line = await page.locator('svg .line').first().getAttribute('d');
  expect(line?.match(/[ML]/g)).toHaveLength(WAVE.length);
  expect(complaints).toEqual([]);
});

test('says how changes are found, and who runs what this process stands by for', async () => {
  const heldBy = { host: 'db-2', pid: 4711, http: 'http://10.0.0.2:8080' };
  const capture = { mode: 'poll', reason: 'wal_level is replica.' } as const;
  const page = await open([
    { ...SHOP, heldBy, state: 'standby' },
    { ...SHOP, name: 'crm', capture },
  ]);
  const text = await page.locator('.pipeline').allInnerTexts();
  expect(text[0]).toContain('standby, run by process 4711 on db-2 (http://10.0.0.2:8080), for');
  expect(text[1]).toContain('postgresql, polled · streaming for');
  expect(text[1]).toContain('Polled, since the log cannot be read: wal_level is replica.');
});

test('renews itself, says so when nobody answers, and recovers', async () => {
  const page = await open([SHOP]);
  status = [{ ...SHOP, counters: { ...SHOP.counters, creates: 98_765 } }];
  await page.getByText('98,775').waitFor();
  const { port } = server!;
  await server![Symbol.asyncDispose]();
  await page.getByText('The daemon does not answer.').waitFor();
  expect(await page.title()).toContain('does not answer');
  server = await startHttp({
    listen: { host: '127.0.0.1', port },
    token: null,
    version: '',
    status: () => [{ ...SHOP, name: 'back' }],
    administration: null,
    log: SILENT,
  });
  await page.getByText('back', { exact: true }).waitFor();
  expect(await page.locator('#outage').isVisible()).toBe(false);
  expect(await page.locator('.pipeline').count()).toBe(1);
});

test('takes nothing from the database for markup', async () => {
  const hostile = table(1, {
    table: HOSTILE,
    topic: HOSTILE,
    state: 'quarantined',
    code: HOSTILE,
    reason: HOSTILE,
    advice: HOSTILE,
    limitation: HOSTILE,
    deadLetters: 1,
    lastDeadLetter: { code: HOSTILE, message: HOSTILE, advice: HOSTILE, at: at(1) },
  });
  const page = await open([
    {
      ...SHOP,
      name: HOSTILE,
      warnings: [HOSTILE],
      lastError: { code: HOSTILE, message: HOSTILE, advice: HOSTILE, at: at(1) },
      position: { lsn: HOSTILE },
      tables: [hostile],
      queries: [
        {
          id: HOSTILE,
          statement: HOSTILE,
          topic: HOSTILE,
          records: 1,
          problems: 0,
          problemsByKind: {},
          paused: HOSTILE,
        },
      ],
    },
  ]);
  await page.getByRole('button', { name: 'again' }).click();
  expect(await page.locator('#ask-title').innerText()).toContain(HOSTILE);
  expect(await page.locator('img, main script').count()).toBe(0);
  expect(await page.title()).not.toBe('owned');
  // And were there code that tried, the browser would refuse it.
  const refused = await page.evaluate(
    "(() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } })()",
  );
  expect(refused).toBe(true);
});

test('works with hundreds of tables', async () => {
  const tables = Array.from({ length: 600 }, (_, n) => table(n));
  const page = await open([
    { ...SHOP, tables: [...tables, table(600, { state: 'quarantined', reason: 'No.' })] },
  ]);
  const rows = page.locator('tbody tr');
  expect(await rows.count()).toBe(50);
  expect(await rows.first().innerText()).toContain('public.t600');
  await page.getByRole('button', { name: 'Show all 601' }).click();
  expect(await rows.count()).toBe(601);
  await page.getByRole('searchbox').fill('T59');
  expect(await rows.count()).toBe(11);
  expect(await page.getByText('11 of 601 tables').isVisible()).toBe(true);
  expect(complaints).toEqual([]);
});

test('asks the daemon with what the operator confirms, and nothing else', async () => {
  const page = await open([SHOP], { token: TOKEN, httpCredentials: { username: 'me', password: TOKEN } });
  const again = page.getByRole('button', { name: 'Read public.orders again' });
  await again.click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await again.click();
  await page.getByRole('textbox').fill('id > 1000');
  await page.getByRole('button', { name: 'Read it' }).click();
  await page.getByText('public.orders is read again.').waitFor();
  expect(asked).toEqual([
    { name: 'shop', request: { action: 'snapshot', tables: ['public.orders'], where: 'id > 1000' } },
  ]);
  await again.click();
  expect(await page.getByRole('textbox').inputValue()).toBe('');
  await page.getByRole('textbox').press('Escape');
  await page.getByRole('button', { name: 'Hold the snapshot' }).click();
  await page.getByText('The snapshot is held').waitFor();
  await page.getByRole('button', { name: 'Pause…' }).click();
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await page.getByText('It is paused.').waitFor();
  status = [{ ...SHOP, state: 'paused' }];
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await page.getByText('It goes on.').waitFor();
  expect(asked.slice(1).map(({ request }) => request.action)).toEqual(['snapshot-pause', 'pause', 'resume']);
  expect(complaints).toEqual([]);
});

test('pauses one table and resumes it, when the operator confirms', async () => {
  const page = await open([SHOP], { token: TOKEN, httpCredentials: { username: 'me', password: TOKEN } });
  const pause = page.getByRole('button', { name: 'Pause public.orders' });
  await pause.click();
  expect(await page.getByRole('dialog').innerText()).toContain('the other tables go on');
  expect(await page.getByRole('textbox').count()).toBe(0);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await pause.click();
  await page.getByRole('button', { name: 'Pause it' }).click();
  await page.getByText('public.orders is paused.').waitFor();
  const held: Partial<TableStatus> = {
    table: 'public.orders',
    topic: 'shop.public.orders',
    state: 'quarantined',
    code: 'request.table-paused',
    reason: 'The table public.orders was paused by an operator at 2026-01-01T00:00:00Z.',
    advice: '`headwater resume FILE TABLE` lets it go on.',
  };
  status = [{ ...SHOP, tables: [table(1, held), ...SHOP.tables.slice(1)] }];
  const resume = page.getByRole('button', { name: 'Resume public.orders' });
  await resume.waitFor();
  // Another table's row has not become its button, and what is resumed is read again anyway.
  expect(await page.getByRole('button', { name: /^Resume / }).count()).toBe(1);
  expect(await page.getByRole('button', { name: 'Read public.orders again' }).count()).toBe(0);
  await resume.click();
  await page.getByRole('button', { name: 'Resume it' }).click();
  await page.getByText('public.orders is read again and goes on.').waitFor();
  expect(asked).toEqual([
    { name: 'shop', request: { action: 'pause', tables: ['public.orders'] } },
    { name: 'shop', request: { action: 'resume', tables: ['public.orders'] } },
  ]);
  // Nothing of one table can be asked for while the pipeline does not run.
  status = [{ ...SHOP, state: 'paused' }];
  await page.getByRole('button', { name: 'Resume', exact: true }).waitFor();
  expect(await page.getByRole('button', { name: 'Pause public.orders' }).isDisabled()).toBe(true);
  expect(complaints).toEqual([]);
});

test('says what the daemon refuses', async () => {
  refusal = new HeadwaterError('request.not-running', 'The pipeline shop is starting.', {
    fix: 'Wait for it.',
  });
  const page = await open([SHOP]);
  await page.getByRole('button', { name: 'Hold the snapshot' }).click();
  await page.getByText('The pipeline shop is starting. Wait for it.').waitFor();
});

/** Code for another site's page: all that it can send without asking first, and what it learns. */
function attacks(address: string): string {
  return `(async () => {
    const url = ${JSON.stringify(`${address}admin/pipelines/shop/pause`)};
    const attempt = (init) =>
      fetch(url, { method: 'POST', ...init }).then((answer) => answer.type, () => 'refused');
    const results = [
      await attempt({ body: '{"tables":["public.orders"]}', headers: { 'content-type': 'application/json' } }),
      await attempt({ body: '{}', headers: { 'content-type': 'application/json' } }),
      await attempt({ body: '{}', mode: 'no-cors' }),
      await attempt({ mode: 'no-cors' }),
      await attempt({ body: new URLSearchParams({ a: '1' }), mode: 'no-cors' }),
      await fetch(${JSON.stringify(`${address}status`)}).then(() => 'read', () => 'refused'),
    ];
    const form = document.createElement('form');
    form.method = 'post';
    form.action = url;
    form.enctype = 'text/plain';
    document.body.append(form);
    form.submit();
    return results;
  })()`;
}

test('a page of another site can ask for nothing and read nothing', async () => {
  const page = await open([SHOP]);
  const target = page.url();
  const other = await startHttp({
    listen: { host: '127.0.0.1', port: 0 },
    token: null,
    version: '',
    status: () => [],
    administration: null,
    log: SILENT,
  });
  try {
    // The same machine and another port: what any local web server's page could try, without its policy.
    const foreign = await page.context().newPage();
    await foreign.route('**/evil', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<p>evil</p>' }),
    );
    await foreign.goto(`http://localhost:${other.port}/evil`);
    const tried = await foreign.evaluate(attacks(target));
    await foreign.waitForURL(`${target}admin/**`);
    expect(tried).toEqual(Array(6).fill('refused'));
    expect(asked).toEqual([]);
    // And it cannot be shown in a frame, to be clicked unseen.
    await foreign.goto(`http://localhost:${other.port}/evil`);
    await foreign.setContent(`<iframe src="${target}"></iframe>`);
    const framed = foreign.frames().find((frame) => frame !== foreign.mainFrame());
    await framed?.waitForURL('chrome-error://**');
    expect(framed?.url()).toBe('chrome-error://chromewebdata/');
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 375],
  ['dark', 375],
] as const)('fits its window: %s, %i wide', async (colorScheme, width) => {
  const page = await open([SHOP, CRM], { colorScheme, viewport: { width, height: 900 } });
  const dir = process.env['HEADWATER_PICTURES'];
  if (dir !== undefined) {
    await mkdir(dir, { recursive: true });
    await page.screenshot({ path: `${dir}/page-${colorScheme}-${width}.png`, fullPage: true });
  }
  const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
  expect(overflow).toBeLessThanOrEqual(0);
});
