import { constants } from 'node:os';

const ENDING = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING)[number];

export interface StopSignals {
  /** Aborts at the first signal. */
  readonly stop: AbortSignal;
  /** Ends the process with 128 + n, unless something else ends it before. */
  dispose(): void;
}

export interface StopOptions {
  readonly onStop?: (signal: EndingSignal) => void;
  /** What SIGHUP asks for instead of stopping. */
  readonly onHangup?: () => void;
  /** After the first signal there is this much time to end; Infinity without a limit. */
  readonly timeoutMs?: number;
  readonly onTimeout?: () => void;
  /**
   * For so long after the first signal a second one is taken for the same: npm passes on to a script what the
   * terminal has already sent to it.
   */
  readonly sameSignalMs?: number;
}

function exitCodeFor(signal: EndingSignal): number {
  return 128 + constants.signals[signal];
}

/** The first SIGTERM, SIGINT or SIGHUP (unless that has a use of its own) asks to stop, the second (or the time-out) ends the process at once. */
export function onStopSignals(options: StopOptions = {}): StopSignals {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let first = 0;
  const listener = (signal: EndingSignal): void => {
    if (controller.signal.aborted) {
      if (performance.now() - first < (options.sameSignalMs ?? 0)) return;
      process.exit(exitCodeFor(signal));
    }
    first = performance.now();
    options.onStop?.(signal);
    if (options.timeoutMs !== undefined && Number.isFinite(options.timeoutMs)) {
      timer = setTimeout(() => {
        options.onTimeout?.();
        process.exit(exitCodeFor(signal));
      }, options.timeoutMs).unref();
    }
    controller.abort();
  };
  const ending = ENDING.filter((name) => name !== 'SIGHUP' || options.onHangup === undefined);
  for (const name of ending) process.on(name, listener);
  const hangup = options.onHangup;
  if (hangup !== undefined) process.on('SIGHUP', hangup);
  return {
    stop: controller.signal,
    dispose() {
      clearTimeout(timer);
      for (const name of ending) process.off(name, listener);
      if (hangup !== undefined) process.off('SIGHUP', hangup);
    },
  };
}
