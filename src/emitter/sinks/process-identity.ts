import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Recognises a process again, also when its pid has been given to another since. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The machine's boot and, in containers, the pid namespace: pids mean something only within the same. */
  readonly machine: string;
  readonly host: string;
  /** Start time in clock ticks since boot, from /proc; null where there is no /proc. */
  readonly started: string | null;
}

let own: ProcessIdentity | null = null;

export function processIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, machine: machine(), host: hostname(), started: startTime(process.pid) };
  return own;
}

/** True only where the process is known to have ended; one of another machine never is. */
export function isGone(other: ProcessIdentity): boolean {
  const me = processIdentity();
  if (other.machine !== me.machine) return false;
  if (other.pid === me.pid) return other.started !== me.started;
  if (me.started !== null) {
    const started = startTime(other.pid);
    return started === null || started !== other.started;
  }
  try {
    process.kill(other.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function machine(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); the name before it may hold spaces and parentheses. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended already.
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
