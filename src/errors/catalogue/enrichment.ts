import type { CatalogueEntry } from './entry.ts';

/** Errors of statements and queries. */
export const ENRICHMENT = {
  'enrich.statement-invalid': {
    fate: 'halt',
    exit: 2,
    summary: 'A statement cannot be understood or does not fit the tables it names.',
    advice: 'Correct the statement at the line and column named; docs/enrichment.md shows what there is.',
  },
  'enrich.not-supported': {
    fate: 'halt',
    exit: 2,
    summary: 'A statement asks for something this version does not do.',
    advice: 'docs/enrichment.md lists what works; leave the statement out or write it another way.',
  },
  'enrich.no-registry': {
    fate: 'halt',
    exit: 2,
    summary: 'A statement needs a schema registry, and the settings name none.',
    advice: 'Set emit.registry with its url, or write another format.',
  },
  'enrich.table-changed': {
    fate: 'retry',
    exit: 1,
    summary: 'A column that statements use was dropped, or has a type that its former one does not widen to.',
    advice:
      'Nothing to do: the statements are compiled again for the table as it is now. A query that no longer fits it is paused, and the log names it.',
  },
  'enrich.table-unreadable': {
    fate: 'halt',
    exit: 3,
    summary: 'A table that statements join with cannot be read, or is not captured.',
    advice: 'Grant SELECT on it and list it in source.tables; a join without its table would be wrong.',
  },
  'enrich.memory-limit': {
    fate: 'retry',
    exit: 1,
    summary: 'The tables and groups of statements take more memory than state.memory_limit.',
    advice:
      'Nothing to do: the next attempt keeps them on disk. Set state.durable where that is known beforehand, or raise state.memory_limit, and remove <pipeline>.lmdb in state.dir/enrich, where memory is to be had.',
  },
  'enrich.schema-refused': {
    fate: 'quarantine',
    exit: 1,
    summary:
      'The schema registry does not accept the schema of the results of a statement, which waits alone.',
    advice:
      'Lower the compatibility of the subject, set emit.registry.on_incompatible: set_none, or give the statement another KAFKA_TOPIC.',
  },
  'enrich.schema-refused-stop': {
    fate: 'halt',
    exit: 1,
    summary:
      'The schema registry does not accept the schema of the results of a statement, and on_incompatible is fail.',
    advice:
      'Lower the compatibility of the subject, set emit.registry.on_incompatible: set_none, or give the statement another KAFKA_TOPIC.',
  },
  'enrich.results-accepted': {
    fate: 'retry',
    exit: 1,
    summary:
      'The results of a statement that waited can be written: the registry takes their schema, and Kafka their topic.',
    advice: 'Nothing to do: the statement goes on.',
  },
  'enrich.partitions-added': {
    fate: 'retry',
    exit: 1,
    summary: 'A topic that statements read has got more partitions.',
    advice: 'Nothing to do: reading goes on with all of them, where it was.',
  },
  'enrich.row-failed': {
    fate: 'halt',
    exit: 1,
    summary: "An expression failed for a row, and the query's ON_ERROR is STOP.",
    advice: 'Correct the statement or the row, or leave ON_ERROR out: then it is logged and counted.',
  },
  'enrich.no-equal': {
    fate: 'halt',
    exit: 1,
    summary: 'A statement cannot be said in the SQL of the engine that it is exported to.',
    advice:
      'The script is printed without it and is incomplete; docs/flink.md says what has no equal. Let Headwater go on running it, or write it another way.',
  },
  'query.not-ready': {
    fate: 'halt',
    exit: 1,
    summary: 'A table that a query asks for is not complete yet.',
    advice: 'Ask again when `headwater status` says that the pipeline streams.',
  },
  'query.not-running': {
    fate: 'halt',
    exit: 1,
    summary: 'No pipeline with statements runs, so that there is nothing to ask.',
    advice: 'Ask again in a moment; `headwater status` says what the pipeline does.',
  },
  'query.too-many': {
    fate: 'halt',
    exit: 1,
    summary: 'More queries with EMIT CHANGES run than may.',
    advice: 'End some of them, or let consumers read the topic instead.',
  },
  'query.cut-off': {
    fate: 'halt',
    exit: 1,
    summary: 'A query of a client was ended, since more waits for the client than is kept for it.',
    advice: 'Read faster, ask for fewer rows with WHERE, or read the topic of the stream instead.',
  },
  'query.ended': {
    fate: 'halt',
    exit: 1,
    summary: 'A query of a client was ended, since its pipeline stops or begins anew.',
    advice: 'Send the query again.',
  },
} as const satisfies Record<string, CatalogueEntry>;
