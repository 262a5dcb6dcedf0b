import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Log } from './log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface PinoLogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line, for machines. `text`: for a person at a terminal. */
  readonly format: 'json' | 'text';
  /** Masks secrets in a finished line. */
  readonly redact: (line: string) => string;
  /** Gets whole lines, each with its newline. */
  readonly write: (line: string) => void;
  readonly colour?: boolean;
}

/**
 * Structured log. JSON lines have `level`, `time` (ISO 8601 UTC), the fields, and `msg`. Whatever is logged passes
 * through `redact` as text, so that a secret inside an error of a library is masked too.
 */
export function createPinoLog(options: PinoLogOptions): Log {
  const { redact, write, format, colour = false } = options;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line: string) => write(format === 'json' ? redact(line) : redact(lineForPeople(line, colour))),
    },
  ) satisfies Logger;
}

const COLOURS: Readonly<Record<string, string>> = {
  debug: '\u001b[2m',
  info: '\u001b[36m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

function lineForPeople(json: string, colour: boolean): string {
  const {
    level,
    time,
    msg,
    pipeline,
    code,
    advice,
    details: _details,
    ...fields
  } = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const paint = (text: string): string => (colour ? `${COLOURS[String(level)] ?? ''}${text}\u001b[0m` : text);
  const where = typeof pipeline === 'string' ? `${pipeline}: ` : '';
  const kind = typeof code === 'string' ? `${String(level)}[${code}]` : String(level);
  const rest = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  const remedy = typeof advice === 'string' ? `\n  → ${advice}` : '';
  return `${String(time).slice(11, 19)} ${paint(kind)} ${where}${String(msg)}${rest}${remedy}\n`;
}
