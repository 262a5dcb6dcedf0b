import { diagnose } from '../../daemon/doctor.ts';
import { entryOf } from '../../errors/catalogue.ts';
import type { Finding } from '../../readers/reader.ts';
import { redact } from '../../settings/secret.ts';
import { checkListen } from '../check-listen.ts';
import { defineCommand } from '../command.ts';
import { loadWithStatements } from '../load-files.ts';
import { onStopSignals } from '../signals.ts';

const MARKS: Readonly<Record<Finding['level'], string>> = { ok: '✓', warning: '!', error: '✗' };

export const command = defineCommand({
  build: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'Settings files' })
      .option('json', { type: 'boolean', default: false, describe: 'Print JSON, one object a finding' })
      .example('$0 doctor shop.yaml', 'What is missing, with the exact GRANT or ALTER')
      .epilogue('Changes nothing. Ends with 3 (or 1, 2) if `run` would stop with an error.'),
  async run({ files, json }) {
    const settings = await loadWithStatements(files);
    const signals = onStopSignals();
    let worst = 0;
    try {
      for (const [i, each] of settings.entries()) {
        const findings = [...(await diagnose(each, signals.stop))];
        // One process has one, however many files.
        const listen = i === 0 ? await checkListen(each.http, each.name, signals.stop) : null;
        if (listen !== null) findings.push(listen);
        if (!json) process.stdout.write(`${each.file}: pipeline ${each.name}\n`);
        for (const finding of findings) {
          process.stdout.write(
            redact(json ? `${JSON.stringify({ pipeline: each.name, ...finding })}\n` : describe(finding)),
          );
          if (finding.level === 'error') {
            worst = Math.max(worst, finding.code === undefined ? 3 : entryOf(finding.code).exit);
          }
        }
      }
    } finally {
      signals.dispose();
    }
    return worst;
  },
});

function describe({ check, level, message, fix }: Finding): string {
  const remedy = fix === undefined ? '' : `\n      → ${fix.replaceAll('\n', '\n        ')}`;
  return `  ${MARKS[level]} ${check}: ${message}${remedy}\n`;
}
