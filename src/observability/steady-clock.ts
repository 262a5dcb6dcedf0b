/**
 * Milliseconds since the epoch as they were when the process began, and steadily on from there: the same whatever
 * somebody does to the machine's clock. For what is measured; what people and other machines are told of is
 * Date.now's.
 */
export function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}
