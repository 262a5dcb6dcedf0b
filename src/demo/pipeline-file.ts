import type { Target } from './target.ts';

export interface PipelineFile {
  readonly name: string;
  readonly databaseUrl: string;
  readonly target: Target;
  readonly httpPort: number;
}

/** Where ratings go that somebody should act upon. */
export function unhappyTopic(name: string): string {
  return `${name}.unhappy_platinum_customers`;
}

/** The settings file of the demo's pipeline: what a reader takes away as a first file of their own. */
export function pipelineYaml({ name, databaseUrl, target, httpPort }: PipelineFile): string {
  const emit =
    target.kind === 'kafka'
      ? `kafka: { brokers: [${target.brokers}] }`
      : 'file: { path: records }      # a directory beside this file';
  return `name: ${name}                      # topics ${name}.<schema>.<table>
source:
  url: ${databaseUrl}
  tables: [public.customers, public.orders, public.ratings]
emit:
  ${emit}
  profile: safe                   # decimals as text; without this line as Debezium writes them
enrich:                           # ratings joined with the customers as of their commit
  sql:
    - |
      CREATE STREAM ratings WITH (CDC_TABLE = '${name}.public.ratings');
      CREATE TABLE customers WITH (CDC_TABLE = '${name}.public.customers');
      CREATE STREAM unhappy_platinum_customers WITH (KAFKA_TOPIC = '${unhappyTopic(name)}', FIELD_CASE = 'LOWER') AS
        SELECT r.customer_id, r.id AS rating_id, r.stars, r.message, c.name AS customer, c.email
        FROM ratings r LEFT JOIN customers c ON r.customer_id = c.id
        WHERE r.stars < 3 AND c.club = 'platinum';
http: { listen: 127.0.0.1:${httpPort} }
`;
}
