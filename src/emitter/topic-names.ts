import type { TableId } from '../model/table.ts';

/** Sends what would go to the topics it matches elsewhere; the first that matches counts. */
export interface TopicRoute {
  /** Matches the whole name of the topic. */
  readonly match: RegExp;
  /** With `$1` and the like for what the pattern captured. */
  readonly topic: string;
  /** A field that makes keys of several tables in one topic distinct. */
  readonly keyField: KeyField | null;
}

export interface KeyField {
  readonly name: string;
  /** With `$1` and the like; null is the topic's name without the route. */
  readonly value: string | null;
}

export interface TopicNaming {
  /** The pipeline's name. */
  readonly name: string;
  /** `{name}.{schema}.{table}` */
  readonly topic: string;
  readonly routes: readonly TopicRoute[];
}

/** Where a table's records go. */
export interface TableTopic {
  readonly topic: string;
  /** What a route adds to the key: name and value. */
  readonly keyField: { readonly name: string; readonly value: string } | null;
  /** The settings may bring several tables there on purpose: by a route, by name, or by a template for all of them. */
  readonly chosen: boolean;
}

/** Characters a topic may not have become `_`, each on its own, as Debezium does. */
export function sanitizeTopic(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '_');
}

/** `{name}.{schema}.{table}` and the like. */
function topicFor(template: string, name: string, id: TableId): string {
  const parts: Readonly<Record<string, string>> = { name, schema: id.schema, table: id.table };
  return sanitizeTopic(
    template.replaceAll(/\{(name|schema|table)\}/g, (_, part: string) => parts[part] ?? ''),
  );
}

/** `own` is the topic the settings give that table alone; routes are not asked then. */
export function tableTopic(naming: TopicNaming, id: TableId, own: string | null | undefined): TableTopic {
  if (own != null) return { topic: sanitizeTopic(own), keyField: null, chosen: true };
  const topic = topicFor(naming.topic, naming.name, id);
  const route = naming.routes.find(({ match }) => match.test(topic));
  if (route === undefined) return { topic, keyField: null, chosen: !naming.topic.includes('{table}') };
  const { match, keyField } = route;
  return {
    topic: sanitizeTopic(topic.replace(match, route.topic)),
    keyField:
      keyField === null
        ? null
        : {
            name: keyField.name,
            value: keyField.value === null ? topic : topic.replace(match, keyField.value),
          },
    chosen: true,
  };
}

export const schemaChangeTopic = (name: string): string => sanitizeTopic(name);
export const transactionTopic = (name: string): string => sanitizeTopic(`${name}.transaction`);
export const messageTopic = (name: string): string => sanitizeTopic(`${name}.message`);
export const heartbeatTopic = (name: string): string => sanitizeTopic(`__debezium-heartbeat.${name}`);
export const deadLetterTopic = (name: string): string => sanitizeTopic(`${name}.dead-letter`);
/** Of Kafka: the durable state. */
export const stateTopic = (name: string): string => `headwater.${name}.state`;
export const notificationTopic = (name: string): string => sanitizeTopic(`${name}.notification`);
