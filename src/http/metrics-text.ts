import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
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
      const pipelines = pipelineRegistry(status, now, tableSeries);
      return `${await process.metrics()}\n${await pipelines.metrics()}`;
    },
  };
}

function pipelineRegistry(status: readonly PipelineStatus[], now: number, tableSeries: number): Registry {
  const registry = new Registry();
  for (const metric of METRICS) {
    const options = {
      name: metric.name,
      help: metric.help,
      labelNames: ['pipeline', 'connector', ...(metric.labels ?? [])],
      registers: [registry],
    };
    const add = addTo(metric.type === 'counter' ? new Counter(options) : new Gauge(options));
    for (const pipeline of status) {
      const labels = { pipeline: pipeline.name, connector: pipeline.connector };
      const samples = samplesOf(metric.samples(pipeline, now));
      const bounded = metric.labels?.includes('table') === true ? foldTables(samples, tableSeries) : samples;
      for (const sample of bounded) {
        add({ ...labels, ...sample.labels }, sample.value);
      }
    }
  }
  return registry;
}

function addTo(metric: Counter | Gauge): (labels: Record<string, string>, value: number) => void {
  return (labels, value) => metric.inc(labels, value);
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
