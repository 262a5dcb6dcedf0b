/** What it takes, the collector's threads included. */
export function cpuMicros(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
