import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue, PositionCodec } from '../../model/position.ts';

/**
 * How far polling has come. What each table has been read up to stands in the durable state beside it (`poll/…`), so
 * this only orders what is delivered:
 *
 * `{"polling": 1, "round": 12, "batch": 345, "kept": "5f3a…:340", "from": {…}}`
 */
export interface PollPosition {
  /** Times that all tables have been gone through. */
  readonly round: number;
  /** Batches handed over so far. */
  readonly batch: number;
  /** Names the last change of the local row state that belongs to it (row-state.ts); null: there was none. */
  readonly kept: string | null;
  /** Where a table begins of which the state says nothing (cursor.ts), as it was when the pipeline was new. */
  readonly from: JsonValue;
}

export const POLL_POSITIONS: PositionCodec<PollPosition> = {
  encode: ({ round, batch, kept, from }) => ({ polling: 1, round, batch, kept, from }),
  decode(json) {
    if (!isPollPosition(json)) {
      throw new HeadwaterError('state.position-invalid', 'The stored position is not one of polling.');
    }
    const { round, batch, kept = null, from = null } = json as { readonly [key: string]: JsonValue };
    if (
      !Number.isSafeInteger(round) ||
      !Number.isSafeInteger(batch) ||
      (kept !== null && typeof kept !== 'string')
    ) {
      throw new HeadwaterError('state.position-invalid', 'The stored position of polling is malformed.');
    }
    return { round: Number(round), batch: Number(batch), kept, from };
  },
  compare: (a, b) => a.round - b.round || a.batch - b.batch,
  insideTransaction: () => false,
};

/** Whether a stored position was written while polling, whatever the database. */
export function isPollPosition(json: JsonValue): boolean {
  return typeof json === 'object' && json !== null && 'polling' in json && json.polling === 1;
}
