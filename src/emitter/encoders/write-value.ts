import type { Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';

/** JSON text of a column's value. */
export type WriteValue = (value: Value) => string;

/** What decides how a type is written, beside the type. */
export interface TypeContext {
  /** The column's name, for errors. */
  readonly column: string;
  readonly profile: Profile;
  readonly withSchema: boolean;
  readonly optional: boolean;
  /** null, UNCHANGED, ABSENT; throws for anything else. */
  readonly other: WriteValue;
  /** For what the schema cannot hold. */
  readonly special: (text: string) => string;
}
