import type { CatalogueEntry } from './entry.ts';

/** Errors of the process, its settings, and what is asked of it. */
export const PROCESS = {
  'internal.bug': {
    fate: 'halt',
    exit: 1,
    summary: 'An invariant of Headwater did not hold.',
    advice: 'Report it with the log line and its stack. Restarting resumes from the last durable checkpoint.',
  },
  'settings.file-unreadable': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file cannot be read.',
    advice: 'Check the path and its permissions.',
  },
  'settings.invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'The settings file is malformed or holds a value that is not allowed.',
    advice: 'Correct the named line; `headwater settings schema` prints what is allowed.',
  },
  'settings.secret-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A ${env:…} or ${file:…} reference has nothing behind it.',
    advice: 'Set the environment variable or create the file, readable for the user Headwater runs as.',
  },
  'settings.duplicate-name': {
    fate: 'halt',
    exit: 2,
    summary: 'Two files have the same pipeline name, or differ in the http block of the process.',
    advice: 'Names are topic prefixes and slot names: give each pipeline its own.',
  },
  'settings.no-table-matches': {
    fate: 'halt',
    exit: 2,
    summary: 'A pattern in source.tables matches no table.',
    advice: 'Check schema and spelling, and that the role can see the table.',
  },
  'settings.key-column-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A key in tables.….key names a column that the table does not have.',
    advice: 'Correct the column names of that key, or remove it to use the key of the table itself.',
  },
  'settings.column-missing': {
    fate: 'halt',
    exit: 2,
    summary: 'A rule, a header or the outbox in the settings names a column that the table does not have.',
    advice: 'Correct the name, or remove it from the settings; names are those of the database.',
  },
  'settings.column-twice': {
    fate: 'halt',
    exit: 2,
    summary: 'By the settings two columns of a table would have the same name in its records.',
    advice: 'Give one of them another name in tables.….columns.rename, or the added field in emit.',
  },
  'settings.topic-taken': {
    fate: 'quarantine',
    exit: 2,
    summary:
      'By the settings two tables would have one topic, though nothing in them says that it is meant so.',
    advice:
      'Give the table a topic of its own (tables.….topic), change emit.topic, or leave one of the two out; where both are meant to be in one topic, name it in emit.routes. The table is read then.',
  },
  'http.port-in-use': {
    fate: 'halt',
    exit: 3,
    summary: 'Another process listens on the address of http.listen or http.sql.',
    advice: 'Stop that process, or choose another port in that setting (or `off`).',
  },
  'http.cannot-listen': {
    fate: 'halt',
    exit: 3,
    summary: 'The address of http.listen or http.sql cannot be listened on.',
    advice: 'Choose an address of this machine and a port above 1023 in that setting, or `off`.',
  },
  'http.no-daemon': {
    fate: 'halt',
    exit: 3,
    summary: 'No running daemon answers.',
    advice: 'Start it with `headwater run`, or name the settings file whose http.listen it uses.',
  },
  'http.unauthorized': {
    fate: 'halt',
    exit: 3,
    summary: 'The running daemon wants another token.',
    advice: 'Use the settings file the daemon runs with, or set HEADWATER_TOKEN.',
  },
  'request.no-such-pipeline': {
    fate: 'halt',
    exit: 2,
    summary: 'The running daemon has no pipeline of that name.',
    advice: 'Use the settings file of a pipeline that the daemon runs.',
  },
  'request.no-such-table': {
    fate: 'halt',
    exit: 2,
    summary: 'A table that is asked for is not one the pipeline captures.',
    advice: 'Write it as schema.table; add it to source.tables and reload where it is to be captured.',
  },
  'request.not-running': {
    fate: 'halt',
    exit: 1,
    summary: 'The pipeline is in no state to do what it is asked for.',
    advice: '`headwater status` says what it does; ask again when it streams.',
  },
  'request.table-paused': {
    fate: 'quarantine',
    exit: 1,
    summary:
      'An operator has paused a table: its changes are left out, and it is read anew when it is resumed.',
    advice: '`headwater resume FILE TABLE` lets it go on.',
  },
  'request.timed-out': {
    fate: 'halt',
    exit: 1,
    summary:
      'The pipeline has taken the request and not come to it in time; it is done as soon as it can be.',
    advice: 'Look at `headwater status`: a pipeline that backs off or waits for Kafka comes to it later.',
  },
  'request.invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'A request to the daemon is not one it understands.',
    advice: 'Use the command line of the same version as the daemon.',
  },
  'demo.no-postgres': {
    fate: 'halt',
    exit: 3,
    summary: 'The demo cannot start a PostgreSQL of its own on this machine.',
    advice:
      'Run it on Linux or macOS, as an ordinary user, after `npm ci` without --omit=optional; or try Headwater on a database of yours: docs/postgres.md.',
  },
  'demo.no-kafka': {
    fate: 'halt',
    exit: 3,
    summary: 'The demo was asked for Kafka and can have none.',
    advice: 'Name one with --kafka host:port, install Java 17 and Maven, or leave --sink kafka out.',
  },
} as const satisfies Record<string, CatalogueEntry>;
