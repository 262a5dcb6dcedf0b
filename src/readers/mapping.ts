/** Runs `body`; what it throws is mapped. `what` says what was being done, as the start of a sentence. */
export type Mapping = <T>(what: string, body: () => Promise<T>) => Promise<T>;

/** A source's way to map what is thrown while talking to it. */
export function mappingBy(map: (error: unknown, what: string) => unknown): Mapping {
  return async (what, body) => {
    try {
      return await body();
    } catch (error) {
      throw map(error, what);
    }
  };
}
