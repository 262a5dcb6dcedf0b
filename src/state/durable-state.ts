import { HeadwaterError } from '../errors/headwater-error.ts';
import type { JsonValue, PositionCodec } from '../model/position.ts';
import { POSITION_KEY, type PositionRecord, SOURCE_KEY } from './checkpoint.ts';

/** What a sink's durable state says about where to go on. */
export interface Checkpoint<P> {
  /** Epoch of the run that wrote it; 0 for a new pipeline. */
  readonly epoch: number;
  readonly position: P | null;
  readonly commitTimeUs: number | null;
  /** Opened.identity as it was when the position was stored, or the recorded intent to create a slot. */
  readonly identity: string | null;
}

/** Throws `state.position-invalid` where the state was not written by a compatible version. */
export function readCheckpoint<P>(
  state: ReadonlyMap<string, string>,
  codec: PositionCodec<P>,
): Checkpoint<P> {
  const identity = state.get(SOURCE_KEY) ?? null;
  const text = state.get(POSITION_KEY);
  if (text === undefined) return { epoch: 0, position: null, commitTimeUs: null, identity };
  const record = parsePositionRecord(text);
  return {
    epoch: record.epoch,
    position: codec.decode(record.position),
    commitTimeUs: record.commitTimeUs,
    identity,
  };
}

/** Of the run that wrote the state, whatever its position; 0 for a new pipeline. */
export function epochOf(state: ReadonlyMap<string, string>): number {
  const text = state.get(POSITION_KEY);
  return text === undefined ? 0 : parsePositionRecord(text).epoch;
}

/** Throws `state.position-invalid`. */
export function parsePositionRecord(text: string): PositionRecord {
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new HeadwaterError('state.position-invalid', 'The stored position is not JSON.', { cause });
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new HeadwaterError('state.position-invalid', 'The stored position is not a JSON object.');
  }
  const { v, epoch, position, commitTimeUs } = parsed as { readonly [key: string]: JsonValue };
  if (v !== 1 || typeof epoch !== 'number' || position === undefined) {
    throw new HeadwaterError(
      'state.position-invalid',
      `The stored position has format version ${JSON.stringify(v ?? null)}; this version reads 1.`,
    );
  }
  return { v, epoch, position, commitTimeUs: typeof commitTimeUs === 'number' ? commitTimeUs : null };
}

export function positionText<P>(
  codec: PositionCodec<P>,
  position: P,
  about: { readonly epoch: number; readonly commitTimeUs: number | null },
): string {
  const record: PositionRecord = {
    v: 1,
    epoch: about.epoch,
    position: codec.encode(position),
    commitTimeUs: about.commitTimeUs,
  };
  return JSON.stringify(record);
}
