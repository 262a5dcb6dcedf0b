import type { Log } from '../../observability/log.ts';

export type WarningKind =
  | 'undo-not-matched'
  | 'end-not-seen'
  | 'begin-gone'
  | 'incomplete-xid'
  | 'rollback-unknown-transaction'
  | 'missing-scn'
  | 'unsupported-operation'
  | 'unsupported-type'
  | 'sql-not-reconstructed'
  | 'relaxed-scan'
  | 'nls-lost'
  | 'lob-erase'
  | 'scn-went-back'
  | 'flush-off'
  | 'recounted'
  | 'schema-drift';

const SENTENCES: Readonly<Record<WarningKind, string>> = {
  'undo-not-matched':
    'an undo in the redo log has no change it undoes; it may be of before the capture began',
  'end-not-seen':
    'a transaction has ended, since another has its undo slot, and the redo log did not tell how; it is kept, and read again at the next start',
  'begin-gone':
    'a transaction is open that began before what is still archived; what it has changed is kept here, but a restart before it ends would need a new snapshot',
  'incomplete-xid': 'a transaction was told by its undo segment and slot alone',
  'rollback-unknown-transaction': 'a transaction was rolled back of which nothing was read',
  'missing-scn': 'LogMiner reports a gap in the redo log',
  'unsupported-operation': 'a change of a captured table is of a kind that LogMiner does not show',
  'unsupported-type': 'a value is of a type that LogMiner does not show',
  'sql-not-reconstructed': 'LogMiner could not rebuild a statement',
  'relaxed-scan':
    'a statement has apostrophes that are not doubled; where its values end was told from what follows',
  'nls-lost': 'dates come in a form that the session was not set to',
  'lob-erase': 'part of a LOB was erased; its content is not known any more',
  'scn-went-back': 'rows of the redo log do not come in the order of their SCNs',
  'flush-off': 'the flush table cannot be written to; it is left alone from now on',
  recounted: 'the settings have changed within a transaction; it is delivered from its start',
  'schema-drift': 'a change names a column that the table did not have; the catalogue was read again',
};

/** How often one kind is told. */
const EVERY_MS = 60_000;

/** Things that are odd and go on. Counted by kind; told at most once a minute each. No values. */
export class Warnings {
  readonly #log: Log;
  readonly #counts = new Map<WarningKind, number>();
  readonly #told = new Map<WarningKind, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  count(
    kind: WarningKind,
    about: {
      readonly scn?: bigint;
      readonly xid?: string;
      readonly table?: string | null;
      readonly info?: string | null;
    } = {},
  ): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const now = performance.now();
    const told = this.#told.get(kind);
    if (told !== undefined && now - told < EVERY_MS) return;
    this.#told.set(kind, now);
    const { scn, xid, table, info } = about;
    this.#log.warn(
      { kind, count, scn: scn === undefined ? undefined : String(scn), xid, table, info },
      SENTENCES[kind],
    );
  }
}
