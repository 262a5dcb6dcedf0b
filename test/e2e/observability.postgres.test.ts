/** What the dashboard, the alert rules and docs/metrics.md speak of is what a running daemon says. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { onPath, run } from '../../src/local-servers/processes.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { anchorsOf } from '../support/markdown.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const text = (path: string): Promise<string> => readFile(resolve(ROOT, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const RULES = (
  parse(await text('docker/prometheus-alerts.yaml')) as { groups: readonly { rules: readonly Rule[] }[] }
).groups.flatMap(({ rules }) => rules);
const DASHBOARD = JSON.parse(await text('docker/grafana-dashboard.json')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
};
const SHOWN = DASHBOARD.panels.flatMap(({ targets = [] }) => targets);

/** What Prometheus adds to every sample. */
const SCRAPED = ['job', 'instance'];

let files: Workspace;
let database: TestDatabase;
/** Labels by metric, of a live /metrics. */
let live: Map<string, ReadonlySet<string>>;

beforeAll(async () => {
  files = await workspace();
  database = await testDatabase();
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  const file = await files.write(
    'observed.yaml',
    pipelineFile({
      name: 'observed',
      url: database.url,
      tables: ['public.t'],
      path: files.path('out'),
      source: [`postgres: { slot: ${database.name}, wal_budget: 1GB }`],
    }),
  );
  await using daemon = new Headwater(['run', file]);
  await daemon.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
  live = metricsIn((await daemon.get('/metrics')).body);
  await daemon.stop();
  // What only MySQL has is told of without a sample here; every sample has these.
  for (const [name, labels] of live) {
    if (name.startsWith('headwater_') && labels.size === 0)
      live.set(name, new Set(['pipeline', 'connector']));
  }
});

afterAll(async () => {
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

it.each(RULES.map((rule) => [rule.alert, rule.expr]))('%s asks for what there is', (_alert, expr) => {
  expectKnown(expr);
});

it.each(SHOWN.map(({ expr, legendFormat }) => [expr, legendFormat]))(
  '%s is there to be shown',
  (expr, legend) => {
    expectKnown(expr);
    const labels = new Set(metricsOf(expr).flatMap((metric) => [...(live.get(metric) ?? []), ...SCRAPED]));
    for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect(labels).toContain(label);
  },
);

it('variables of the dashboard come from what there is', () => {
  for (const { definition } of DASHBOARD.templating.list)
    if (definition !== undefined) expectKnown(definition);
  const names = DASHBOARD.templating.list.map(({ name }) => name);
  for (const { expr } of SHOWN) {
    for (const [, name] of expr.matchAll(/\$(\w+)/g)) expect([...names, '__rate_interval']).toContain(name);
  }
});

it('the documentation lists what there is, and nothing else', async () => {
  const listed = [...(await text('docs/metrics.md')).matchAll(/^\| `(headwater_\w+)`/gm)].map(
    ([, name]) => name!,
  );
  const there = [...live.keys()].filter((name) => /^headwater_(?!build_info)/.test(name));
  expect(listed.toSorted()).toEqual(there.toSorted());
});

describe('the rules', () => {
  test('each says how urgent it is, and leads to a section that is there', async () => {
    expect(new Set(RULES.map(({ alert }) => alert)).size).toBe(RULES.length);
    for (const { alert, labels, annotations } of RULES) {
      expect(['page', 'ticket'], alert).toContain(labels.severity);
      const [page = '', anchor = ''] = annotations.runbook.split('#');
      expect(anchorsOf(await text(page)), annotations.runbook).toContain(anchor);
    }
  });

  test('promtool accepts them', async ({ skip }) => {
    skip(!(await onPath('promtool')), 'promtool, of Debian’s package prometheus, is not here');
    await run('promtool', ['check', 'rules', resolve(ROOT, 'docker/prometheus-alerts.yaml')]);
  });
});

test('panels lie side by side, and none is there twice', () => {
  const taken = new Set<string>();
  for (const { id, gridPos, title } of DASHBOARD.panels) {
    expect(DASHBOARD.panels.filter((other) => other.id === id)).toHaveLength(1);
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x}/${y}`), title).toBe(false);
        taken.add(`${x}/${y}`);
      }
    }
  }
});

function metricsIn(exposition: string): Map<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of exposition.split('\n')) {
    const name = /^# TYPE (\S+)/.exec(line)?.[1];
    if (name !== undefined) found.set(name, found.get(name) ?? new Set());
    const sample = /^([a-z_0-9]+)\{(.*)\} /.exec(line);
    if (sample === null) continue;
    const labels = found.get(sample[1]!) ?? new Set();
    for (const [, label] of sample[2]!.matchAll(/(\w+)="/g)) labels.add(label!);
    found.set(sample[1]!, labels);
  }
  return found;
}

function metricsOf(expr: string): readonly string[] {
  return [...expr.matchAll(/\b(?:headwater|process|nodejs)_\w+/g)].map(([name]) => name);
}

/** Every metric of the expression is one, and has the labels that it is chosen or grouped by. */
function expectKnown(expr: string): void {
  const metrics = metricsOf(expr);
  expect(metrics).not.toEqual([]);
  for (const metric of metrics) expect([...live.keys()]).toContain(metric);
  for (const [, metric, selector] of expr.matchAll(/(\w+)\{([^}]*)\}/g)) {
    const chosen = [...selector!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!);
    for (const label of chosen)
      expect([...live.get(metric!)!, ...SCRAPED], `${metric} of ${expr}`).toContain(label);
  }
  const all = metrics.flatMap((metric) => [...live.get(metric)!]);
  for (const [, labels] of expr.matchAll(/\b(?:by|on) ?\(([^)]*)\)/g)) {
    for (const label of labels!.split(',')) expect([...all, ...SCRAPED]).toContain(label.trim());
  }
}
