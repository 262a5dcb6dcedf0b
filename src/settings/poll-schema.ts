import * as z from 'zod';
import { block, duration, list, matching, oneOf, size, text, whole } from './leaves.ts';
import { TABLE_NAME } from './transform-schema.ts';

const columns = (what: string) =>
  z
    .union([text('a column name'), list(text('a column name'), 'a list of column names')], {
      error: 'must be a column name, or a list of them',
    })
    .optional()
    .describe(what);

const every = duration(100).describe(
  'How often a table is asked; less often where that takes more than a tenth of the time.',
);

export const POLL = block({
  every: every.default('5s'),
  overlap: duration()
    .default('1m')
    .describe(
      'So much later than its timestamp says a row may come, beside what the server tells of running transactions: clocks that differ, and all there is where the server tells nothing.',
    ),
  batch_rows: whole(1, 1_000_000).default(1_000).describe('Rows of one statement at most.'),
  time_zone: text('the name of a time zone, such as Europe/Berlin')
    .optional()
    .describe('Zone of the columns that hold local times.'),
  remember_limit: size(1_048_576)
    .default('1GB')
    .describe('Size of what is kept of rows in state.dir; rows that come later are not remembered.'),
  tables: z
    .record(
      matching(TABLE_NAME, 'schema.table'),
      block({
        mode: oneOf(['bulk', 'incrementing', 'timestamp', 'timestamp+incrementing'])
          .optional()
          .describe(
            'bulk: all rows each time. incrementing: rows with a greater number. timestamp: rows with a later time. Follows from the columns unless said otherwise.',
          ),
        timestamp: columns(
          'Column that holds when a row was written; of several the first that is not NULL counts.',
        ),
        incrementing: text('a column name')
          .optional()
          .describe('Column that grows from row to row, such as a serial.'),
        query: text('a SELECT').optional().describe('A query in place of the table; the name is then free.'),
        key: columns('Columns that identify a row, where there is no primary key, or a query.'),
        every: every.optional(),
        delete_sweep: duration(1_000)
          .optional()
          .describe(
            'How often the keys are compared with those that were delivered: rows that are gone become deletes.',
          ),
        remember: oneOf(['overlap', 'keys', 'rows'])
          .optional()
          .describe(
            'What is kept of each row in state.dir. overlap: what polling needs itself. keys: create and update are told apart, and deletes found. rows: updates and deletes hold the row before. With mode: auto both also keep the keys while the log is read, so that polling finds the deletes in between. keys with a delete_sweep, else overlap.',
          ),
      }),
      { error: 'must be a block of schema.table: settings' },
    )
    .default({})
    .describe('How single tables are polled.'),
});
