/** What all peers that are Java programs are started with, as connect-standalone.sh and kafka-run-class.sh start theirs. */
export const DEFAULT_HEAP: readonly string[] = ['-Xms256M', '-Xmx2G'];
export const JVM_FLAGS: readonly string[] = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
];
