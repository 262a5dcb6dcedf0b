import { type CatalogueEntry, type Code, entryOf } from './catalogue.ts';

/**
 * The only error that crosses a folder's edge. `message` is one sentence that says what and where; what to do
 * follows from the catalogue's advice or, more exact, from `fix`. Neither holds cell values or secrets.
 */
export class HeadwaterError extends Error {
  readonly code: Code;
  /** Facts for logs and JSON output: names, positions, numbers. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
  /** The exact statement or setting that mends it, where there is one. */
  readonly fix: string | undefined;

  constructor(
    code: Code,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, string | number | boolean | null>>;
      readonly fix?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HeadwaterError';
    this.code = code;
    this.details = options.details ?? {};
    this.fix = options.fix;
  }

  get entry(): CatalogueEntry {
    return entryOf(this.code);
  }

  /** What the operator can do about it. */
  get advice(): string {
    return this.fix ?? this.entry.advice;
  }
}

/** Anything thrown, as a HeadwaterError; what isn't one already is a bug of ours. */
export function asHeadwaterError(error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HeadwaterError('internal.bug', message, { cause: error });
}
