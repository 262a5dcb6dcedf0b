import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import { ABSENT, type Value } from '../../../model/value.ts';
import type { RelationState } from './relation-state.ts';

export interface LenientRelation {
  readonly relation: RelationState;
  /** Which column it was; for after a row has been decoded. */
  error(): HeadwaterError;
}

/** The relation with decoders that give ABSENT for what they cannot read. */
export function lenient(relation: RelationState): LenientRelation {
  const { schema } = relation;
  let culprit = -1;
  const decoders = relation.decoders.map((decode, i) => (text: string): Value => {
    try {
      return decode(text);
    } catch {
      if (culprit < 0) culprit = i;
      return ABSENT;
    }
  });
  return {
    relation: { ...relation, decoders },
    error() {
      const { name, nativeType } = schema.columns[culprit] ?? { name: 'unknown', nativeType: 'unknown' };
      const table = tableName(schema.id);
      return new HeadwaterError(
        'source.value-unreadable',
        `A change of ${table} holds a value in the column ${name} that is not in the text form of its type ${nativeType}.`,
        { details: { table, column: name, type: nativeType } },
      );
    },
  };
}
