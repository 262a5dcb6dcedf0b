import { readdirSync, readFileSync } from 'node:fs';

/** What a process and its descendants have used since they started. */
export interface Usage {
  /** User and system time, in seconds; the kernel counts in hundredths. */
  readonly cpuSeconds: number;
  /** Sum of the peaks of resident memory, in MB of 10^6 bytes. */
  readonly peakRssMb: number;
  /** Resident memory now, in MB. */
  readonly rssMb: number;
}

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that Node runs on

/** Reads /proc. A process that has ended counts as nothing; so ask before you stop it. */
export function usageOf(pid: number): Usage {
  let ticks = 0;
  let peakKb = 0;
  let rssKb = 0;
  for (const each of [pid, ...descendantsOf(pid)]) {
    try {
      const stat = fieldsOf(each);
      // utime, stime; and those of children that have ended and were waited for
      ticks += Number(stat[11]) + Number(stat[12]) + Number(stat[13]) + Number(stat[14]);
      const status = readFileSync(`/proc/${each}/status`, 'utf8');
      peakKb += Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      rssKb += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    } catch {
      // ended between the listing and the reading
    }
  }
  return {
    cpuSeconds: ticks / TICKS_PER_SECOND,
    peakRssMb: (peakKb * 1024) / 1e6,
    rssMb: (rssKb * 1024) / 1e6,
  };
}

/** Fields of /proc/PID/stat from the state on: the command before it may hold blanks and parentheses. */
function fieldsOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(fieldsOf(Number(name))[1]);
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [Number(name)]);
      else siblings.push(Number(name));
    } catch {
      // ended meanwhile
    }
  }
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const below = children.get(next) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}
