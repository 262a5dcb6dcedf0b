import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { OracleError } from '../session/oracle-session.ts';
import type { RedoRow } from './redo-row.ts';

export interface Joiner {
  /** The whole row once its last piece is there; null before. */
  next(row: RedoRow): RedoRow | null;
  /** The cursor is at its end. Throws where a row is not: the window has to be read again. */
  end(): void;
}

/** SQL_REDO holds 4,000 bytes; longer texts go on in the rows that follow, which may cut them anywhere. */
export function joinContinued(mostBytes: number): Joiner {
  let first: RedoRow | null = null;
  let pieces: string[] = [];
  let size = 0;
  return {
    next(row) {
      if (first === null) {
        if (!row.continued) return row;
        first = row;
        pieces = [row.sql ?? ''];
        size = pieces[0]!.length;
        return null;
      }
      const piece = row.sql ?? '';
      size += piece.length;
      if (size > mostBytes) {
        throw new HeadwaterError(
          'source.redo-unreadable',
          `A statement at SCN ${first.scn} is longer than ${mostBytes} bytes.`,
          {
            details: { scn: String(first.scn), rsId: first.rsId },
          },
        );
      }
      pieces.push(piece);
      if (row.continued) return null;
      const whole = { ...first, continued: false, sql: pieces.join('') };
      first = null;
      pieces = [];
      return whole;
    },
    end() {
      // As LogMiner's own passing states.
      if (first !== null) throw new OracleError('ORA-01371: a continued row is not complete');
    },
  };
}
