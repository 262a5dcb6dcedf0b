import { runDemo } from '../../demo/demo.ts';
import { createScreen } from '../../demo/screen.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { defineCommand } from '../command.ts';
import { onStopSignals } from '../signals.ts';
import { describeBriefly, describeRow } from '../tail-view.ts';
import { VERSION } from '../version.ts';

/** npm sends on at once what the terminal sends to all; somebody who means it presses Ctrl-C later. */
const SAME_SIGNAL_MS = 2_000;

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .option('seconds', {
        type: 'number',
        default: 20,
        describe: 'How long to show changes',
      })
      .option('forever', { type: 'boolean', default: false, describe: 'Show changes until Ctrl-C' })
      .option('sink', {
        choices: ['auto', 'kafka', 'files'] as const,
        default: 'auto' as const,
        describe: 'Where records go; auto: Kafka if there can be one, else files',
      })
      .option('kafka', { type: 'string', describe: 'host:port of a running Kafka, which keeps the topics' })
      .option('kafka-wait', {
        type: 'number',
        default: 90,
        describe: 'Seconds that a Kafka of the demo may take to be there, fetching it included',
      })
      .example('$0 demo', 'With a Kafka started by Java 17 and Maven, or a container engine; else into files')
      .example('$0 demo --kafka 127.0.0.1:9092 --forever', 'Into a Kafka of yours, until Ctrl-C')
      .epilogue('It needs nothing but npm, removes all it has made, and touches nothing of yours.'),
  async run({ seconds, forever, sink, kafka, kafkaWait }) {
    for (const [option, value] of Object.entries({ seconds, 'kafka-wait': kafkaWait })) {
      if (!(value > 0)) throw usage(`--${option} must be a number above 0.`);
    }
    if (kafka !== undefined && !/^(\[[0-9A-Fa-f:.]+\]|[^:\s/,]+):\d{1,5}$/.test(kafka))
      throw usage(`--kafka must be host:port.`);
    const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined;
    const signals = onStopSignals({ sameSignalMs: SAME_SIGNAL_MS });
    try {
      await runDemo(
        {
          sink,
          kafka,
          kafkaWaitSeconds: kafkaWait,
          seconds: forever ? Infinity : seconds,
          version: VERSION,
          // Inside the project the command is not on the PATH.
          command: process.env.npm_lifecycle_event === undefined ? 'headwater' : 'npm run headwater --',
          screen: createScreen({
            write: (text) => void process.stdout.write(text),
            terminal: process.stdout.isTTY,
            colour,
          }),
          describe: (record, note) => describeBriefly({ ...record, timestamp: 0 }, note, colour),
          describeRow: (record, what) => describeRow({ ...record, timestamp: 0 }, what, colour),
        },
        signals.stop,
      );
    } finally {
      signals.dispose();
    }
    return 0;
  },
});

function usage(message: string): HeadwaterError {
  return new HeadwaterError('settings.invalid', message, { fix: 'headwater demo --help' });
}
