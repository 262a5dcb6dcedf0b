import type { TableId } from '../model/table.ts';

/** Characters a topic may not have become `_`, each on its own, as Debezium does. */
export function sanitizeTopic(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '_');
}

/** `{name}.{schema}.{table}` and the like. */
export function topicFor(template: string, name: string, id: TableId): string {
  const parts: Readonly<Record<string, string>> = { name, schema: id.schema, table: id.table };
  return sanitizeTopic(
    template.replaceAll(/\{(name|schema|table)\}/g, (_, part: string) => parts[part] ?? ''),
  );
}

export const transactionTopic = (name: string): string => sanitizeTopic(`${name}.transaction`);
export const messageTopic = (name: string): string => sanitizeTopic(`${name}.message`);
export const heartbeatTopic = (name: string): string => sanitizeTopic(`__debezium-heartbeat.${name}`);
export const deadLetterTopic = (name: string): string => sanitizeTopic(`${name}.dead-letter`);
export const notificationTopic = (name: string): string => sanitizeTopic(`${name}.notification`);
