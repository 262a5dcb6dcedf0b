import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { METRICS, type Sample } from '../observability/metrics.ts';
import type { PipelineStatus } from '../observability/status.ts';

/** Series of tables that a metric of a pipeline has at most, unless the scrape asks for another number. */
export const DEFAULT_TABLE_SERIES = 1000;
/** Stands for all tables beyond that number. */
const OTHERS = '(others)';

export interface MetricsText {
  readonly contentType: string;
  /**
   * `tableSeries`: of how many tables each pipeline's metrics are told one by one, the first by name; those of the rest are
   * added up.
   */
  render(
    status: readonly PipelineStatus[],
    options: { readonly now: number; readonly tableSeries: number },
  ): Promise<string>;
}

/** Prometheus text. Pipelines' figures are made from their status at each scrape; nothing is counted twice. */
export function createMetricsText(version: string): MetricsText {
  const process = new Registry();
  collectDefaultMetrics({ register: process });
  new Gauge({
    name: 'headwater_build_info',
    help: 'Always 1; the version is in the label.',
    labelNames: ['version'],
    registers: [process],
  }).set({ version }, 1);
  return {
    contentType: process.contentType,
    async render(status, { now, tableSeries }) {
      return `${await process.metrics()}\n${pipelineMetrics(status, now, tableSeries)}`;
    },
  };
}

/**
 * Written here and not by prom-client, which takes five times as long for a thousand tables: nothing is delivered
 * meanwhile.
 * The format is https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
 */
function pipelineMetrics(status: readonly PipelineStatus[], now: number, tableSeries: number): string {
  const blocks: string[] = [];
  for (const { name, help, type, labels, samples } of METRICS) {
    blocks.push(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`);
    for (const pipeline of status) {
      const common = `${name}{pipeline="${escapedLabel(pipeline.name)}",connector="${escapedLabel(pipeline.connector)}"`;
      const all = samplesOf(samples(pipeline, now));
      const bounded = labels?.includes('table') === true ? foldTables(all, tableSeries) : all;
      for (const sample of bounded) {
        let line = common;
        for (const label of labels ?? []) line += `,${label}="${escapedLabel(sample.labels[label] ?? '')}"`;
        blocks.push(`${line}} ${sample.value}\n`);
      }
    }
  }
  return blocks.join('');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapedLabel(text: string): string {
  return escaped(text).replaceAll('"', '\\"');
}

/** The same tables at every scrape, so that no series comes and goes. */
function foldTables(samples: readonly Sample[], most: number): readonly Sample[] {
  if (samples.length <= most) return samples;
  const rest = samples.slice(most).reduce((sum, { value }) => sum + value, 0);
  return [...samples.slice(0, most), { labels: { table: OTHERS }, value: rest }];
}

function samplesOf(value: readonly Sample[] | number | boolean | null): readonly Sample[] {
  if (value === null) return [];
  if (typeof value === 'number') return [{ labels: {}, value }];
  if (typeof value === 'boolean') return [{ labels: {}, value: value ? 1 : 0 }];
  return value;
}
