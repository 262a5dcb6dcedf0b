import type { Target } from './target.ts';

export interface PipelineFile {
  readonly name: string;
  readonly databaseUrl: string;
  readonly target: Target;
  readonly httpPort: number;
}

/** Where the joined orders go. */
export function joinedTopic(name: string): string {
  return `${name}.club_orders`;
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
  tables: [public.customers, public.orders]
emit:
  ${emit}
  profile: safe                   # decimals as text; without this line as Debezium writes them
enrich:                           # new orders with the customer's club as of their commit
  sql:
    - |
      CREATE STREAM orders WITH (CDC_TABLE = '${name}.public.orders');
      CREATE TABLE customers WITH (CDC_TABLE = '${name}.public.customers');
      CREATE STREAM club_orders WITH (KAFKA_TOPIC = '${joinedTopic(name)}', FIELD_CASE = 'LOWER') AS
        SELECT o.customer_id, o.id AS order_id, o.item, o.quantity * o.price AS total, c.name AS customer, c.club
        FROM orders o LEFT JOIN customers c ON o.customer_id = c.id
        WHERE CDC_OP() = 'c';
http: { listen: 127.0.0.1:${httpPort} }
`;
}
