/**
 * A value is not in a form that its column's type has. The message says what was expected and never what was
 * found; whoever knows table and column adds them.
 */
export class UnreadableValue extends Error {
  constructor(expected: string) {
    super(expected);
    this.name = 'UnreadableValue';
  }
}

/** Anything else that is thrown while a value is decoded is a bug, and goes on. */
export function assertUnreadable(error: unknown): asserts error is UnreadableValue {
  if (!(error instanceof UnreadableValue)) throw error;
}
