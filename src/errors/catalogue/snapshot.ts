import type { CatalogueEntry } from './entry.ts';

/** Errors of reading what is there already. */
export const SNAPSHOT = {
  'snapshot.table-unreadable': {
    fate: 'quarantine',
    exit: 3,
    summary: 'A table cannot be read: it is gone, or the role may not read it.',
    advice:
      'Grant SELECT on the table, or take it out of source.tables; it is tried again at the next start.',
  },
  'snapshot.table-locked': {
    fate: 'retry',
    exit: 1,
    summary: 'A table is locked by somebody else and cannot be read for the moment.',
    advice: 'Nothing to do: the other tables are read first, and this one when the lock is gone.',
  },
  'snapshot.table-rewritten': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table was truncated or rewritten while its snapshot was taken.',
    advice: 'Nothing to do: the table is read again while the stream runs.',
  },
  'snapshot.table-unsettled': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table changes in a way that keeps its snapshot from being joined with the stream.',
    advice:
      'It is tried again at the next start; give a table without a key a primary key, or start when it is quiet.',
  },
  'snapshot.no-common-position': {
    fate: 'halt',
    exit: 3,
    summary: 'The server offers no way to read tables at a known position of its log.',
    advice: 'GRANT LOCK TABLES on the captured databases to the user of source.url, or turn gtid_mode on.',
  },
  'snapshot.where-invalid': {
    fate: 'quarantine',
    exit: 2,
    summary:
      'The condition for the rows of a table (snapshot.where, or --where) is not one the server accepts.',
    advice:
      'Correct snapshot.where, or ask again with another --where; `SELECT … WHERE (condition)` must work for the role of source.url.',
  },
} as const satisfies Record<string, CatalogueEntry>;
