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
