import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { redact } from '../../settings/secret.ts';
import { defineCommand } from '../command.ts';
import { DAEMON_FILE, PRINT_JSON } from '../shared-options.ts';
import { type DaemonStatus, fetchStatus } from '../daemon-client.ts';
import { whereToAsk } from '../where-to-ask.ts';
import { onStopSignals } from '../signals.ts';
import { statusText } from '../status-text.ts';

const WATCH_MS = 1_000;

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('file', DAEMON_FILE)
      .option('watch', { type: 'boolean', default: false, describe: 'Again every second until stopped' })
      .option('json', PRINT_JSON)
      .example('$0 status shop.yaml --watch', 'Follow a snapshot')
      .example("$0 status --json | jq '.pipelines[].lagMs'", 'For scripts'),
  async run({ file, watch, json }) {
    const { address, only } = await whereToAsk(file);
    const signals = onStopSignals();
    try {
      do {
        const status = await fetchStatus(address, signals.stop);
        const shown = only === null ? status : onlyPipeline(status, only);
        const clear = watch && !json && process.stdout.isTTY ? '\u001b[H\u001b[J' : '';
        process.stdout.write(
          redact(json ? `${JSON.stringify(shown)}\n` : `${clear}${statusText(shown, Date.now())}`),
        );
        if (watch) await sleep(WATCH_MS, undefined, { signal: signals.stop });
      } while (watch);
    } catch (error) {
      if (!signals.stop.aborted) throw error;
    } finally {
      signals.dispose();
    }
    return 0;
  },
});

function onlyPipeline(status: DaemonStatus, name: string): DaemonStatus {
  const pipelines = status.pipelines.filter((pipeline) => pipeline.name === name);
  if (pipelines.length > 0) return { ...status, pipelines };
  const running = status.pipelines.map((pipeline) => pipeline.name).join(', ');
  throw new HeadwaterError('http.no-daemon', `The daemon that answers runs ${running}, not ${name}.`);
}
