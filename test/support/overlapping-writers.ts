/**
 * Writers whose transactions overlap and commit in another order than they began, so that rows come later than their
 * times and numbers say. What they do follows from a seed; how it interleaves is the server's doing.
 */

/** A session of a database: BEGIN, COMMIT and ROLLBACK are statements. */
export interface WriterSession {
  query(sql: string): Promise<unknown>;
}

export interface WritersOptions {
  readonly sessions: readonly WriterSession[];
  readonly seed: number;
  /** Transactions of each. */
  readonly transactions: number;
  /** Every eighth statement or so is followed by a pause of up to so many milliseconds. */
  readonly longestMs: number;
  /** Statements of one. `n` numbers all statements of the run. */
  readonly statement: (random: (below: number) => number, n: number) => string;
}

/** A generator of numbers that a seed decides. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export async function writeOverlapping({
  sessions,
  seed,
  transactions,
  longestMs,
  statement,
}: WritersOptions): Promise<void> {
  let n = 0;
  await Promise.all(
    sessions.map(async (session, writer) => {
      const random = randomFrom(seed * 31 + writer);
      for (let i = 0; i < transactions; i++) {
        await session.query('BEGIN');
        const statements = 1 + random(3);
        let failed = false;
        for (let s = 0; s < statements && !failed; s++) {
          // Two writers may wait for each other: one of them begins again.
          failed = await session.query(statement(random, n++)).then(
            () => false,
            () => true,
          );
          // Some stay open for long, with rows that nobody sees yet.
          await new Promise((resolve) =>
            setTimeout(resolve, random(8) === 0 ? random(longestMs) : random(20)),
          );
        }
        await session.query(failed || random(10) === 0 ? 'ROLLBACK' : 'COMMIT');
      }
    }),
  );
}
