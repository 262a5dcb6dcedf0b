import * as z from 'zod';
import type { Path } from './document.ts';
import { FILE_SCHEMA } from './schema.ts';

/** What of JSON Schema the settings use. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | false;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly required?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

let made: SchemaNode | null = null;

/** JSON Schema (draft 7, which editors understand) of a settings file. */
export function settingsJsonSchema(): SchemaNode {
  made ??= z.toJSONSchema(FILE_SCHEMA, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      // A default of {} only says that the block may be left out.
      if (jsonSchema.type === 'object') delete jsonSchema.default;
    },
  }) as SchemaNode;
  return made;
}

/** The part of the schema for a path in a file; null where the schema knows none. */
export function schemaAt(path: Path): SchemaNode | null {
  let node: SchemaNode = settingsJsonSchema();
  for (const step of path) {
    const next = typeof step === 'number' ? node.items : child(node, step);
    if (next === undefined) return null;
    node = next;
  }
  return node;
}

function child(node: SchemaNode, key: string): SchemaNode | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, key)) return node.properties[key];
  return node.additionalProperties === false ? undefined : node.additionalProperties;
}

/** Dotted names of all keys in the schema; `*` stands for the name of a table or topic setting. */
export function allKeys(node: SchemaNode = settingsJsonSchema(), prefix = ''): readonly string[] {
  const keys: string[] = [];
  for (const [key, below] of Object.entries(node.properties ?? {})) {
    keys.push(prefix + key, ...allKeys(below, `${prefix}${key}.`));
  }
  if (node.additionalProperties) keys.push(...allKeys(node.additionalProperties, `${prefix}*.`));
  return keys;
}
