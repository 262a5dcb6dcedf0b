/** The part of the settings file that changes records on their way: columns, topics, headers, the outbox. */
import * as z from 'zod';
import { block, flag, list, matching, oneOf, secret, text, textBlock, whole } from './leaves.ts';

const COLUMN = 'a column name';
const ENVELOPE_NAMES = 'a list of names such as [op, source.ts_ms]';

/** As `tableName` writes it: `schema.table`, `"sche.ma".table`. */
export const TABLE_NAME = /^(?:"(?:[^"]|"")+"|[^."][^.]*)\.[^.].*$/;

/** Keys of `emit`. */
export const EMIT_TRANSFORMS = {
  routes: z
    .array(
      block({
        match: text('a regular expression').describe(
          'Regular expression that matches the whole name of a topic.',
        ),
        topic: text('a topic name').describe(
          'Where its records go instead; $1 is what the first group matched.',
        ),
        key_field: text('a field name')
          .optional()
          .describe('A field added to the key, so that rows of several tables with the same key stay apart.'),
        key_value: text()
          .optional()
          .describe('Value of that field, with $1 and the like; the name of the topic without the route.'),
      }),
      { error: 'must be a list of routes, each with match and topic' },
    )
    .default([])
    .describe('Several tables in one topic: the first route that matches counts.'),
  unwrapped: block({
    deletes: oneOf(['tombstone', 'drop', 'rewrite'])
      .default('tombstone')
      .describe(
        'tombstone: a delete is a record without value. drop: it is left out. rewrite: it is the old row, and every record has __deleted, "true" or "false".',
      ),
    fields: list(text('a name such as op or source.ts_ms'), ENVELOPE_NAMES)
      .optional()
      .describe('Fields from the envelope behind the row’s own: op is __op, source.ts_ms is __source_ts_ms.'),
    headers: list(text('a name such as op or source.ts_ms'), ENVELOPE_NAMES)
      .optional()
      .describe('The same as headers.'),
  })
    .prefault({})
    .describe('What envelope: unwrapped makes of deletes and of the rest of the envelope.'),
  skip_operations: z
    .array(oneOf(['c', 'u', 'd', 'r']), { error: 'must be a list of operations such as [d]' })
    .default([])
    .describe('Operations that make no record: c, u, d and r (rows of a snapshot).'),
  skip_unchanged: flag()
    .default(false)
    .describe('An update that changes none of the columns that are shown makes no record.'),
  headers: textBlock('a block of header: text')
    .default({})
    .describe('Headers that every record of a table has.'),
  hash_key: secret()
    .optional()
    .describe(
      'Key of the masks by hash (HMAC-SHA-256). Without it whoever can guess a value can check the guess.',
    ),
};

/** Keys of a table's block. */
export const TABLE_TRANSFORMS = {
  columns: block({
    include: list(text(COLUMN), 'a list of column names')
      .optional()
      .describe('Only these columns; key columns stay in the key.'),
    exclude: list(text(COLUMN), 'a list of column names')
      .optional()
      .describe('All columns but these; key columns stay in the key.'),
    mask: z
      .record(
        z.string(),
        z.union([z.enum(['hash', 'null']), z.null(), z.int().min(1).max(1000)], {
          error: 'must be hash, null or a number of asterisks from 1 to 1000',
        }),
        { error: 'must be a block of column: hash, null or a number of asterisks' },
      )
      .default({})
      .describe('column: hash (SHA-256, see emit.hash_key), null, or a number: that many asterisks.'),
    truncate: z
      .record(z.string(), whole(0, 2 ** 31 - 1), { error: 'must be a block of column: length' })
      .default({})
      .describe('column: how many characters (bytes of a binary column) are kept.'),
    rename: textBlock('a block of column: new name').default({}).describe('column: its name in records.'),
  })
    .optional()
    .describe('What is made of the columns.'),
  headers: textBlock('a block of header: column')
    .default({})
    .describe('Headers with the value of a column; of the old row for deletes.'),
  filter: text('a condition such as status <> ’draft’')
    .optional()
    .describe('SQL condition (docs/transforms.md): the topic holds only rows that satisfy it.'),
};

export const OUTBOX = block({
  table: matching(TABLE_NAME, 'schema.table').describe('The outbox; source.tables has to match it too.'),
  topic: text('a topic name with {route}')
    .default('outbox.event.{route}')
    .describe('Topic of a message; {route} is the value of route_by.'),
  route_by: text(COLUMN).default('aggregatetype').describe('Column that chooses the topic.'),
  id: text(COLUMN).default('id').describe('Column that becomes the header id.'),
  key: text(COLUMN).default('aggregateid').describe('Column that becomes the key.'),
  payload: text(COLUMN).default('payload').describe('Column that becomes the value, as it is.'),
  timestamp: text(COLUMN)
    .optional()
    .describe('Column that gives the record’s timestamp; the time of delivery otherwise.'),
  headers: textBlock('a block of header: column').default({}).describe('Headers from further columns.'),
})
  .optional()
  .describe('A table whose inserted rows are messages of their own, as with Debezium’s outbox router.');
