import type { ColumnType, TableSchema } from '../../../model/table.ts';
import type { Value } from '../../../model/value.ts';
import type { RawFormat } from '../../../model/raw-row.ts';
import type { RelationMessage } from './messages.ts';

export type Decode = (text: string) => Value;

/** How rows of one relation are decoded from here on in the stream. */
export interface RelationState {
  readonly oid: number;
  /** False where the publication has a table that the settings don't: its changes are passed over. */
  readonly captured: boolean;
  readonly schema: TableSchema;
  readonly decoders: readonly Decode[];
  /** Per column: the text may hold more than ASCII. */
  readonly wide: readonly boolean[];
  /** How rows stay text (model/raw-row.ts): whole and key-only images. Null where they have to be decoded. */
  readonly text: { readonly whole: RawFormat; readonly key: RawFormat } | null;
  /** Columns that are to be decoded all the same. */
  readonly checked: readonly number[];
  /** Per column: part of the replica identity, and so present in key-only before images. */
  readonly identity: readonly boolean[];
  /**
   * Before images that claim to be whole may come from partitions that log only their key: a null outside of
   * the key then says nothing.
   */
  readonly patchy: boolean;
  /** Set by a decoder that met an enum label its type doesn't list. */
  readonly labels: { unknown: boolean };
  readonly message: RelationMessage;
}

/** Whether the server's text of a type can hold anything but ASCII. */
export function isWide(type: ColumnType): boolean {
  switch (type.kind) {
    case 'string':
    case 'json':
    case 'xml':
    case 'enum':
    case 'ltree':
    case 'tsvector':
    case 'hstore':
      return true;
    case 'array':
      return isWide(type.element);
    default:
      return false;
  }
}
