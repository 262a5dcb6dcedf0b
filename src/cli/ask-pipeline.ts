import { postAdmin } from './daemon-client.ts';
import { onStopSignals } from './signals.ts';
import { whichPipeline } from './where-to-ask.ts';

/** Asks the daemon that runs the file's pipeline for something, and prints what it did. Resolves to the exit code. */
export async function askPipeline(
  file: string,
  request: { readonly action: string; readonly content?: object },
  print: { readonly json: boolean; readonly sentence: (name: string) => string },
): Promise<number> {
  const signals = onStopSignals();
  try {
    const { address, name } = await whichPipeline(file);
    const path = `pipelines/${encodeURIComponent(name)}/${request.action}`;
    const answer = await postAdmin(address, path, request.content ?? {}, signals.stop);
    process.stdout.write(print.json ? `${JSON.stringify(answer)}\n` : `${print.sentence(name)}\n`);
    return 0;
  } finally {
    signals.dispose();
  }
}
