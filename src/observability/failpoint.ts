/**
 * Named places where the crash tests end the process as `kill -9` would:
 * `HEADWATER_FAILPOINT=before-commit:3` dies the third time the place is reached. Without the variable a call
 * costs one comparison. The places are few and on purpose: each is a promise that a crash there loses nothing.
 */
export type Failpoint =
  | 'intent-recorded'
  | 'slot-created'
  | 'before-commit'
  | 'before-end-transaction'
  | 'after-commit'
  | 'after-confirm';

const [armed, count] = (process.env.HEADWATER_FAILPOINT ?? '').split(':');
let left = Number(count ?? 1);

export function failpoint(name: Failpoint): void {
  if (name !== armed) return;
  if (--left > 0) return;
  process.kill(process.pid, 'SIGKILL');
}
