/** Replays a file of a real server's binary log, as if it came from the server. */
import type { Change } from '../../src/model/change.ts';
import { SILENT } from '../../src/observability/log.ts';
import { parseGtidSet } from '../../src/readers/mysql/gtid/gtid-set.ts';
import { SchemaHistory } from '../../src/readers/mysql/schema-history.ts';
import type { MysqlSource } from '../../src/readers/mysql/source-info.ts';
import { BinlogStream } from '../../src/readers/mysql/stream.ts';
import { Tables } from '../../src/readers/mysql/tables.ts';
import type { EventChunk } from '../../src/readers/mysql/wire/event-queue.ts';
import { MysqlConnectionError } from '../../src/readers/mysql/wire/mysql-error.ts';

/** Behind the file's magic number; an event that is cut off ends where the bytes end. */
export function eventsOf(file: Buffer): EventChunk {
  const frames: number[] = [];
  for (let at = 4; at < file.length;) {
    const size = at + 19 <= file.length ? Math.max(19, file.readUInt32LE(at + 9)) : file.length - at;
    const end = Math.min(file.length, at + size);
    frames.push(at, end);
    at = end;
  }
  return { buffer: file, frames };
}

/** All changes up to the file's end. The catalogue knows no table any more: the log's own metadata has to do. */
export async function replay(
  connector: 'mysql' | 'mariadb',
  chunk: EventChunk,
): Promise<readonly Change<MysqlSource>[]> {
  let rest: EventChunk | null = chunk;
  const history = new SchemaHistory(new Map());
  const isCaptured = ({ schema }: { readonly schema: string }): boolean => schema === 'd';
  const stream = new BinlogStream(
    {
      take() {
        const next = rest;
        rest = null;
        return next;
      },
      next: () => Promise.resolve(null),
      wake: () => undefined,
      lastReceivedAt: performance.now(),
      paused: false,
      close: () => undefined,
    },
    {
      connector,
      from: { gtids: parseGtidSet('', connector), file: 'binlog.000002', pos: 4, mid: null, prepared: null },
      transactionMarkers: false,
      includeQuery: true,
      checksum: false,
      isCaptured,
      history,
      tables: new Tables({
        connector: 'mysql',
        isCaptured,
        described: [],
        history,
        continuous: true,
        types: { zeroDates: 'null', unsignedOverflow: 'quarantine' },
        describe: () => Promise.resolve(null),
        untilVisible: () => Promise.resolve(),
        lowerCase: false,
        log: SILENT,
      }),
    },
  );
  const changes: Change<MysqlSource>[] = [];
  try {
    for await (const batch of stream.batches(new AbortController().signal)) changes.push(...batch.changes);
  } catch (error) {
    // The recording is over.
    if (!(error instanceof MysqlConnectionError)) throw error;
  } finally {
    stream.stop();
  }
  return changes;
}
