import type { MessageChange, RowChange, SourceInfo, TruncateChange } from '../model/change.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Encoding, Envelope, TransactionPlace } from './encoders/encoder.ts';
import type { TableRoute } from './table-routes.ts';
import { placeJson, TransactionOrder } from './transaction-order.ts';
import type { EnvelopeParts } from './transforms/unwrapped.ts';

/** The envelope of the change in hand: where it comes from, when, and its place in the transaction. */
export class EnvelopeFrame<S extends SourceInfo> {
  /** The same object for all changes; the images are whoever's that encodes. */
  readonly envelope: Envelope = {
    op: 'c',
    before: null,
    after: null,
    source: '',
    sourceValues: [],
    at: null,
    snapshot: null,
    transaction: 'null',
    place: null,
    timeUs: 0,
  };
  readonly order = new TransactionOrder();
  readonly #block: SourceBlock<S>;
  readonly #blocks: Encoding['blocks'];
  readonly #transactionMetadata: boolean;

  /** `blocks`: the form in which the source's block is wanted. */
  constructor(block: SourceBlock<S>, blocks: Encoding['blocks'], transactionMetadata: boolean) {
    this.#block = block;
    this.#blocks = blocks;
    this.#transactionMetadata = transactionMetadata;
  }

  /** Counts the change in its transaction. */
  enter(
    route: TableRoute<S>,
    change: RowChange<S> | TruncateChange<S>,
    snapshot: RowChange<S>['snapshot'],
  ): void {
    const { envelope } = this;
    if (this.#blocks === 'bytes') {
      envelope.at = change.at;
      envelope.snapshot = snapshot;
    } else if (this.#blocks === 'text') envelope.source = route.source(change.at, snapshot);
    else envelope.sourceValues = route.sourceValues(change.at, snapshot);
    this.enterAgain(route, change);
  }

  /** For one more record of the same change, which has a place of its own in the transaction. */
  enterAgain(route: TableRoute<S>, change: RowChange<S> | TruncateChange<S>): void {
    const place = this.placeOf(change, route.name);
    if (this.#blocks === 'values') this.envelope.place = place;
    else this.envelope.transaction = placeJson(place);
  }

  /** Counts the change: once for each record. */
  placeOf(
    change: RowChange<S> | TruncateChange<S> | MessageChange<S>,
    table: string | null,
  ): TransactionPlace | null {
    if (!this.#transactionMetadata || change.tx === null) return null;
    return this.order.next(this.#block.transactionId(change.at), table, change.seq);
  }

  /** What unwrapped rows may take from it. */
  parts(op: Envelope['op']): EnvelopeParts {
    const { sourceValues, timeUs } = this.envelope;
    return { op, sourceValues, timeUs };
  }
}
