/** Headwater with the join as a statement, in a process of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProcess } from '../daemon-process.ts';
import { daemonCommand, type Delivery } from '../headwater.ts';
import type { JoinContender, JoinSpec } from './contender.ts';

/** `databaseUrl`: a PostgreSQL, since a pipeline has a source; nothing changes in it. */
export function headwaterJoin(
  databaseUrl: string,
  delivery: Delivery,
  { rekeyed, nodeFlags = [] }: { readonly rekeyed: boolean; readonly nodeFlags?: readonly string[] },
): JoinContender {
  return {
    name: `Headwater ${delivery}${rekeyed ? ', re-keyed' : ''}`,
    ours: true,
    delivery,
    rekeyed,
    start: (spec) => {
      mkdirSync(spec.directory, { recursive: true });
      const file = join(spec.directory, 'headwater.yaml');
      writeFileSync(file, settings(spec, databaseUrl, delivery));
      return startProcess({
        file: process.execPath,
        ...daemonCommand(file, nodeFlags),
        log: join(spec.directory, 'headwater.log'),
        cwd: spec.directory,
      });
    },
  };
}

function settings(
  { id, broker, ratings, customers, output, directory }: JoinSpec,
  databaseUrl: string,
  delivery: Delivery,
): string {
  const sql = `
    CREATE STREAM ratings (rating_id BIGINT, user_id STRING, stars INT, message STRING)
      WITH (KAFKA_TOPIC = '${ratings}', VALUE_FORMAT = 'JSON');
    CREATE TABLE customers (id STRING PRIMARY KEY, name STRING, email STRING, club STRING)
      WITH (KAFKA_TOPIC = '${customers}', VALUE_FORMAT = 'JSON');
    CREATE STREAM joined WITH (KAFKA_TOPIC = '${output}', FIELD_CASE = 'LOWER') AS
      SELECT r.user_id, r.rating_id, r.stars, c.name, c.club
      FROM ratings r LEFT JOIN customers c ON r.user_id = c.id;`;
  return `name: ${id}
source:
  url: ${databaseUrl}
  tables: [public.nothing]
  postgres: { slot: ${id}, publication: ${id} }
emit:
  kafka: { brokers: ['${broker}'], producer: { compression: lz4 } }
  delivery: ${delivery}
http: { listen: '127.0.0.1:0', sql: 'off' }
enrich: { sql: [${JSON.stringify(sql)}] }
state: { dir: ${JSON.stringify(join(directory, 'state'))} }
`;
}
