/** The prompt of `headwater sql`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { errorsOf, formatErrors } from '../print-error.ts';
import type { SqlConsole } from './sql-console.ts';

const KEPT_LINES = 1_000;
const HELP = `Statements end with ; and may span lines: SELECT … [EMIT CHANGES], SHOW STREAMS | TABLES | QUERIES | TOPICS |
FUNCTIONS, DESCRIBE name, EXPLAIN query, PRINT 'topic' [FROM BEGINNING], SET 'property' = 'value', DEFINE name = 'value';
with the token CREATE STREAM | TABLE …, INSERT INTO …, DROP STREAM | TABLE name, TERMINATE | PAUSE | RESUME query.
Ctrl-C ends a query or drops what is being typed; exit, quit or Ctrl-D ends the prompt.
`;

export interface PromptStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** Where lines are kept between runs; null: nowhere. */
  readonly historyFile: string | null;
}

/** As the XDG base directories have it. */
export function historyPath(environment: NodeJS.ProcessEnv): string {
  const state = environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state');
  return join(state, 'headwater', 'sql-history');
}

/** Until its input ends or somebody leaves. */
export async function prompt(sql: SqlConsole, { input, output, historyFile }: PromptStreams): Promise<void> {
  const reader = createInterface({
    input,
    output,
    prompt: 'sql> ',
    historySize: KEPT_LINES,
    removeHistoryDuplicates: true,
    history: historyFile === null ? [] : readHistory(historyFile),
  });
  if (historyFile !== null) reader.on('history', (lines) => writeHistory(historyFile, lines));
  let running: AbortController | null = null;
  let typed = '';
  const ready = (): void => {
    reader.setPrompt(typed === '' ? 'sql> ' : '  -> ');
    reader.prompt();
  };
  reader.on('SIGINT', () => {
    if (running !== null) {
      running.abort();
      return;
    }
    typed = '';
    output.write('\n');
    ready();
  });
  output.write('Statements end with ; and help shows more.\n');
  ready();
  for await (const text of reader) {
    const word = text.trim().toLowerCase().replace(/;$/, '');
    if (typed === '' && (word === 'exit' || word === 'quit')) break;
    if (typed === '' && (word === 'help' || word === '?')) output.write(HELP);
    else typed += typed === '' ? text : `\n${text}`;
    if (typed.trim() === '') typed = '';
    if (typed.trimEnd().endsWith(';')) {
      const script = typed;
      typed = '';
      running = new AbortController();
      const { signal } = running;
      await sql.run(script, signal).catch((error: unknown) => {
        output.write(signal.aborted ? '\n(ended)\n' : formatErrors(errorsOf(error), false));
      });
      running = null;
    }
    ready();
  }
  reader.close();
}

function readHistory(file: string): string[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((text) => text !== '')
    : [];
}

/** Statements may hold what is nobody else's business. That it cannot be written is no reason to stop. */
function writeHistory(file: string, lines: readonly string[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  } catch {
    // A home directory that cannot be written has no history.
  }
}
