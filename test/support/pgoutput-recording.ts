/** Recorded replication streams and a decoder for them that needs no server. */
import { readFileSync } from 'node:fs';
import type { Change } from '../../src/model/change.ts';
import type { TableId } from '../../src/model/table.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED } from '../../src/model/value.ts';
import { PgoutputDecoder, type DecoderOptions } from '../../src/readers/postgres/pgoutput/decode.ts';
import { parseLsn } from '../../src/readers/postgres/position.ts';
import { Relations } from '../../src/readers/postgres/relations.ts';
import { SchemaVersions } from '../../src/readers/schema-versions.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import type { TypeRegistry } from '../../src/readers/postgres/types/type-registry.ts';
import type { CopyChunk } from '../../src/readers/postgres/wire/copy-queue.ts';

export interface Recording {
  readonly server: number;
  readonly start: string;
  readonly types: Readonly<Record<string, string>>;
  readonly frames: readonly Buffer[];
}

export function loadRecording(version: 15 | 18): Recording {
  const url = new URL(`../fixtures/postgres/pgoutput-${version}.json`, import.meta.url);
  const json = JSON.parse(readFileSync(url, 'utf8')) as Omit<Recording, 'frames'> & { frames: string[] };
  return { ...json, frames: json.frames.map((frame) => Buffer.from(frame, 'base64')) };
}

/** Frames laid behind each other as they lie in a socket's buffer. */
export function chunkOf(frames: readonly Buffer[]): CopyChunk {
  const bounds: number[] = [];
  let at = 3; // never from the buffer's first byte: offsets must count
  for (const frame of frames) {
    bounds.push(at, at + frame.length);
    at += frame.length + 5;
  }
  const buffer = Buffer.alloc(at, 0xff);
  frames.forEach((frame, i) => frame.copy(buffer, bounds[i * 2]));
  return { buffer, frames: Int32Array.from(bounds) };
}

/** Every type as text; names from the recording. */
function textRegistry(types: Recording['types']): TypeRegistry {
  return {
    column(oid) {
      const nativeType = types[String(oid)];
      if (nativeType === undefined) return null;
      return { type: { kind: 'string' }, nativeType, length: null, scale: null, decode: (text) => text };
    },
  };
}

export interface Decoded {
  readonly changes: readonly Change<PostgresSource>[];
  readonly decoder: PgoutputDecoder;
}

export interface DecodeSetup {
  readonly from?: DecoderOptions['from'];
  readonly markers?: boolean;
  readonly isCaptured?: (id: TableId) => boolean;
  /** After how many changes `decode` is made to stop. */
  readonly maxChanges?: number;
  /** Called whenever decoding stopped, as a reader would close a batch there. */
  readonly onStop?: (decoder: PgoutputDecoder) => void;
}

/** Decodes chunks without a catalogue, as when every table has been dropped since. */
export async function decodeChunks(
  recording: Recording,
  chunks: readonly CopyChunk[],
  setup: DecodeSetup = {},
): Promise<Decoded> {
  const decoder = new PgoutputDecoder({
    from: setup.from ?? { lsn: parseLsn(recording.start)!, mid: null },
    transactionMarkers: setup.markers ?? false,
  });
  const relations = new Relations({
    isCaptured: setup.isCaptured ?? (() => true),
    tables: [],
    registry: textRegistry(recording.types),
    versions: new SchemaVersions(new Map()),
    describe: () => Promise.resolve(null),
    reloadRegistry: () => Promise.resolve(textRegistry(recording.types)),
  });
  const all: Change<PostgresSource>[] = [];
  for (const chunk of chunks) {
    let frame = 0;
    for (;;) {
      const enough = setup.maxChanges ?? 1000;
      const stop = decoder.decode(chunk, frame, { soft: enough, hard: enough });
      if (stop?.relation != null) {
        const { state, changes } = await relations.resolve(stop.relation, decoder.here(), false);
        decoder.changes.push(...changes);
        decoder.define(state);
      } else {
        setup.onStop?.(decoder);
        all.push(...decoder.changes);
        decoder.reset();
      }
      if (stop === null) break;
      frame = stop.frame;
    }
  }
  return { changes: all, decoder };
}

/** One line a change: `u public.plain [1,…] → [3,…]`; `~` is UNCHANGED, `-` ABSENT, long values by length. */
export function lineOf(change: Change<PostgresSource>): string {
  switch (change.kind) {
    case 'row': {
      const parts = [rowText(valuesOf(change.before)), rowText(valuesOf(change.after))].filter(
        (text) => text !== '',
      );
      return `${change.op} ${change.table.id.table} ${parts.join(' → ')}`;
    }
    case 'truncate':
      return `truncate ${change.table.id.table}`;
    case 'message':
      return `message ${change.prefix} ${Buffer.from(change.content).toString('hex')}${change.tx === null ? ' outside' : ''}`;
    case 'schema':
      return `schema ${change.id.table} v${change.table?.version ?? 'gone'} (${change.table?.columns.map(({ name }) => name).join(',') ?? ''})`;
    default:
      return change.kind;
  }
}

function rowText(row: Row | null): string {
  if (row === null) return '';
  const cells = row.map((value) => {
    if (value === UNCHANGED) return '~';
    if (value === ABSENT) return '-';
    if (typeof value === 'string' && value.length > 100) return `${value[0]}×${value.length}`;
    return value === null ? 'null' : String(value);
  });
  return `[${cells.join(', ')}]`;
}
