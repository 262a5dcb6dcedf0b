import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { METRICS, type Sample } from '../observability/metrics.ts';
import type { PipelineStatus } from '../observability/status.ts';

export interface MetricsText {
  readonly contentType: string;
  render(status: readonly PipelineStatus[], now: number): Promise<string>;
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
    async render(status, now) {
      const pipelines = pipelineRegistry(status, now);
      return `${await process.metrics()}\n${await pipelines.metrics()}`;
    },
  };
}

function pipelineRegistry(status: readonly PipelineStatus[], now: number): Registry {
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
      for (const sample of samplesOf(metric.samples(pipeline, now))) {
        add({ ...labels, ...sample.labels }, sample.value);
      }
    }
  }
  return registry;
}

function addTo(metric: Counter | Gauge): (labels: Record<string, string>, value: number) => void {
  return (labels, value) => metric.inc(labels, value);
}

function samplesOf(value: readonly Sample[] | number | boolean | null): readonly Sample[] {
  if (value === null) return [];
  if (typeof value === 'number') return [{ labels: {}, value }];
  if (typeof value === 'boolean') return [{ labels: {}, value: value ? 1 : 0 }];
  return value;
}
