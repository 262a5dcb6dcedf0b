import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars } from '../../src/local-servers/downloads.ts';
import { requireJava } from '../../src/local-servers/java.ts';

export const FLINK_VERSION = '2.2.0';
/** Of the format: mirrors that have no checksums of its 2.2.0 are about, and without them nothing is taken. */
const AVRO_VERSION = '2.1.0';
const LOG4J_VERSION = '2.24.3';

const ARTIFACTS = [
  ...['flink-table-api-java-bridge', 'flink-table-planner-loader', 'flink-table-runtime', 'flink-clients'],
  ...['flink-connector-base', 'flink-json', 'flink-csv'],
];

/**
 * A directory with the jars of Apache Flink that run SQL over Kafka in one process. Needs Java 17 to run, and Maven
 * once for 156 MB. Throws ServerUnavailable.
 */
export async function flinkLibraries(): Promise<string> {
  await requireJava('Flink');
  return cached(`flink-sql-${FLINK_VERSION}-avro-${AVRO_VERSION}`, (dir) =>
    fetchJars(dir, [
      ...ARTIFACTS.map((name) => `org.apache.flink:${name}:${FLINK_VERSION}`),
      `org.apache.flink:flink-sql-avro-confluent-registry:${AVRO_VERSION}`,
      'org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2',
      `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
      `org.apache.logging.log4j:log4j-core:${LOG4J_VERSION}`,
    ]),
  );
}
