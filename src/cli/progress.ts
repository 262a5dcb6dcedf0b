import type { MultiBar, SingleBar } from 'cli-progress';
import type { Log } from '../observability/log.ts';
import { formatCount, formatDuration } from '../observability/quantities.ts';
import type { PipelineStatus } from '../observability/status.ts';

export interface Progress {
  /** Writes a log line so that it does not tear the bars. */
  writeLine(line: string): void;
  start(status: () => readonly PipelineStatus[], log: Log): void;
  stop(): void;
}

const LINE_EVERY_MS = 5_000;
const BAR_EVERY_MS = 200;

/** How far snapshots are: bars on a terminal, otherwise a log line every few seconds. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? new Bars(stream) : new Lines(stream);
}

class Lines implements Progress {
  readonly #stream: NodeJS.WriteStream;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  writeLine(line: string): void {
    this.#stream.write(line);
  }

  start(status: () => readonly PipelineStatus[], log: Log): void {
    this.#timer = setInterval(() => {
      for (const { name, snapshot } of status()) {
        if (snapshot?.running !== true) continue;
        const { tablesDone, tablesTotal, rows, estimatedRows, rowsPerSecond, remainingMs } = snapshot;
        log.info(
          { pipeline: name, tablesDone, tablesTotal, rows, estimatedRows, rowsPerSecond, remainingMs },
          'snapshot under way',
        );
      }
    }, LINE_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

class Bars implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #bars = new Map<string, SingleBar>();
  #multibar: MultiBar | null = null;
  #create: (() => MultiBar) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  writeLine(line: string): void {
    if (this.#multibar === null) this.#stream.write(line);
    else this.#multibar.log(line);
  }

  start(status: () => readonly PipelineStatus[]): void {
    // Loaded beside the start of the pipelines: nothing waits for it. A bundle gives CommonJS its default only.
    void import('cli-progress').then(({ default: { MultiBar } }) => {
      this.#create = () =>
        new MultiBar({
          stream: this.#stream,
          format: '{name} {bar} {percentage}%  {rows} rows  {rate}/s  {left}',
          barsize: 24,
          hideCursor: true,
          clearOnComplete: true,
          stopOnComplete: false,
          forceRedraw: true,
        });
    });
    this.#timer = setInterval(() => this.#draw(status()), BAR_EVERY_MS).unref();
  }

  #draw(status: readonly PipelineStatus[]): void {
    if (this.#stopped || this.#create === null) return;
    const running = status.filter(({ snapshot }) => snapshot?.running === true);
    if (running.length === 0) return this.#clear();
    this.#multibar ??= this.#create();
    for (const { name, snapshot } of running) {
      const rows = snapshot!.rows;
      // An estimate can be too low; the bar never runs past its end.
      const total = Math.max(snapshot!.estimatedRows ?? 0, rows, 1);
      const facts = {
        name,
        rows: formatCount(rows),
        rate: formatCount(snapshot!.rowsPerSecond),
        left: snapshot!.remainingMs === null ? '' : `${formatDuration(snapshot!.remainingMs)} left`,
      };
      const bar = this.#bars.get(name) ?? this.#multibar.create(total, rows, facts);
      this.#bars.set(name, bar);
      bar.setTotal(total);
      bar.update(rows, facts);
    }
  }

  #clear(): void {
    this.#multibar?.stop();
    this.#multibar = null;
    this.#bars.clear();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#clear();
  }
}
