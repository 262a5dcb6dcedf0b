/**
 * Every error Headwater can raise, with what happens then and what the operator can do. The table is total:
 * a code without a fate does not compile. docs/errors.md is generated from it (`npm run docs`).
 */

/** What the supervisor does with an error. Policy lives here alone. */
export type Fate =
  | 'retry' // jittered exponential back-off, reset on progress
  | 'quarantine' // one table stops, the others go on
  | 'resnapshot' // by `source.on_gap`
  | 'halt'; // the process ends with `exit`

/** 1 runtime, 2 settings, 3 environment (missing privilege, unreachable server). */
export type ExitCode = 1 | 2 | 3;

export interface CatalogueEntry {
  readonly fate: Fate;
  /** Exit code when this ends the process (also a retry that ends a job such as `--until-caught-up`). */
  readonly exit: ExitCode;
  readonly summary: string;
  readonly advice: string;
}

export const CATALOGUE = {
  'internal.bug': {
    fate: 'halt',
    exit: 1,
    summary: 'An invariant of Headwater did not hold.',
    advice: 'Report it with the log line and its stack. Restarting resumes from the last durable checkpoint.',
  },
  'settings.file-unreadable': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file cannot be read.',
    advice: 'Check the path and its permissions.',
  },
  'settings.invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file is malformed or holds a value that is not allowed.',
    advice: 'Correct the named line; `headwater settings schema` prints what is allowed.',
  },
  'settings.secret-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A ${env:…} or ${file:…} reference has nothing behind it.',
    advice: 'Set the environment variable or create the file, readable for the user Headwater runs as.',
  },
  'settings.duplicate-name': {
    fate: 'halt',
    exit: 2,
    summary: 'Two files have the same pipeline name, or differ in the http block of the process.',
    advice: 'Names are topic prefixes and slot names: give each pipeline its own.',
  },
  'settings.no-table-matches': {
    fate: 'halt',
    exit: 2,
    summary: 'A pattern in source.tables matches no table.',
    advice: 'Check schema and spelling; `headwater doctor` lists the tables the role can see.',
  },
  'state.position-invalid': {
    fate: 'halt',
    exit: 1,
    summary: 'The stored position is not one this version can read.',
    advice: 'Look at it with `headwater offsets show`; set it right with `headwater offsets set`.',
  },
  'state.locked': {
    fate: 'halt',
    exit: 3,
    summary: 'Another instance uses the same state or output.',
    advice: 'Stop the other instance, or give this pipeline another name or directory.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof CATALOGUE;

export function entryOf(code: Code): CatalogueEntry {
  return CATALOGUE[code];
}
