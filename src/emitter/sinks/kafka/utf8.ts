/** Node's own method behind `buffer.write`, without its 40 ns of argument handling; not in the type definitions. */
export interface Utf8Buffer extends Buffer {
  /** Writes as much as there is room for and returns the number of bytes. */
  utf8Write(text: string, at: number): number;
}
