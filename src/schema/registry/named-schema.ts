/** A schema as a registry has it, and the place it is for. */

export type SchemaType = 'AVRO' | 'JSON' | 'PROTOBUF';

/** A schema that another one names: `name` as the text has it, `subject` and `version` where the registry has it. */
export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

export interface SchemaText {
  readonly type: SchemaType;
  readonly text: string;
  readonly references: readonly SchemaReference[];
}

/** Which schema of a topic: that of its keys or that of its values. */
export interface SchemaPlace {
  readonly topic: string;
  readonly part: 'key' | 'value';
}

/** A schema with the full name of its outermost record, which subjects may be made of. */
export interface NamedSchema extends SchemaText {
  readonly name: string;
}
