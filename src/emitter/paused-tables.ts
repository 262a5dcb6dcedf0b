/**
 * Tables whose records cannot be written, because the registry refuses their schema, the format has no name for it,
 * or the settings no longer fit their columns, or their topic is another's, or are not to be, because an operator has paused them. Their changes are left out while the others go on; once the schema is
 * accepted they are read anew (docs/decisions/0006-incompatible-schemas.md).
 */
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import { topicFaultOf } from './topic-fault.ts';
import type { NamedSchema } from '../schema/registry/named-schema.ts';
import { PAUSED_PREFIX } from '../state/checkpoint.ts';
import { CATALOGUE, type Code } from '../errors/catalogue.ts';
import { steadyNow } from '../observability/steady-clock.ts';

/** Checkpoint key `paused/<schema>.<table>`. */
interface PausedRecord {
  readonly v: 1;
  readonly code: Code;
  readonly message: string;
  /** ISO 8601. */
  readonly since: string;
  /** What the registry refused, to be offered again; null where it was not the registry. */
  readonly refused: { readonly subject: string; readonly schema: NamedSchema } | null;
  /** The topic that could not be had; left out where it was something else. */
  readonly topic?: string;
  /** The schema has been accepted since: the next start reads the table anew. */
  readonly accepted: boolean;
}

const HELD: Code = 'request.table-paused';

/** The edits of the durable state by which an operator pauses tables (`schema.table`). */
export function holdEdits(tables: readonly string[], now: Date): ReadonlyMap<string, string> {
  return heldEdits(tables, now, false);
}

/** And lets those that are held go on: the next start reads them anew. */
export function releaseEdits(tables: readonly string[], now: Date): ReadonlyMap<string, string> {
  return heldEdits(tables, now, true);
}

function heldEdits(tables: readonly string[], now: Date, accepted: boolean): ReadonlyMap<string, string> {
  return new Map(
    tables.map((table) => {
      const since = now.toISOString();
      const message = `The table ${table} was paused by an operator at ${since}.`;
      const record: PausedRecord = { v: 1, code: HELD, message, since, refused: null, accepted };
      return [PAUSED_PREFIX + table, JSON.stringify(record)];
    }),
  );
}

/** Offers refused schemas again. */
export interface Refusals {
  /** What was refused with this error; null where it was something else. */
  refusedBy(error: unknown): PausedRecord['refused'];
  /** Null where the registry accepts it now, else why not. */
  offer(subject: string, schema: NamedSchema): Promise<HeadwaterError | null>;
}

export interface RestoreOptions {
  readonly refusals: Refusals | null;
  /** Tables (`schema.table`) that the settings do not fit as they are now: reading them anew would be in vain. */
  readonly misfits?: readonly { readonly table: string | null; readonly error: HeadwaterError }[];
  readonly now?: () => number;
}

const RETRY_MS = 10_000;
/** From acceptance until the attempt ends for it: time for the note of it to become durable. */
const SETTLE_MS = 6_000;

export class PausedTables {
  readonly #refusals: Refusals | null;
  readonly #now: () => number;
  readonly #paused = new Map<string, PausedRecord>();
  #changed: Map<string, string | null> | null = null;
  #nextRetry = 0;
  #acceptedAt: number | null = null;

  private constructor(refusals: Refusals | null, now: () => number) {
    this.#refusals = refusals;
    this.#now = now;
  }

  /**
   * `resumed`: tables whose schemas have been accepted since; they are no longer paused, and to be read anew in the
   * same commit that forgets their keys.
   */
  static async restore(
    state: ReadonlyMap<string, string>,
    { refusals, misfits = [], now = steadyNow }: RestoreOptions,
  ): Promise<{ readonly tables: PausedTables; readonly resumed: readonly string[] }> {
    const tables = new PausedTables(refusals, now);
    const unfit = new Map(misfits.map(({ table, error }) => [table, error]));
    const resumed: string[] = [];
    for (const [key, text] of state) {
      if (!key.startsWith(PAUSED_PREFIX)) continue;
      const table = key.slice(PAUSED_PREFIX.length);
      const record = recordOf(text);
      // Topics are looked for once the sink is asked at all; what an operator holds, only an operator lets go.
      const waits =
        record !== null && (record.topic !== undefined || record.code === HELD) && !record.accepted;
      const error = record === null ? null : (unfit.get(table) ?? (await tables.#offer(record)));
      if (error === null && !waits) resumed.push(table);
      else tables.#paused.set(table, record!);
    }
    return { tables, resumed };
  }

  /** `schema.table` of the paused ones, and why. */
  all(): ReadonlyMap<string, HeadwaterError> {
    return new Map(
      [...this.#paused].map(([table, { code, message }]) => [table, new HeadwaterError(code, message)]),
    );
  }

  /** Why a table is paused; null where it is not. */
  reason(table: string): HeadwaterError | null {
    const record = this.#paused.get(table);
    return record === undefined ? null : new HeadwaterError(record.code, record.message);
  }

  pause(table: string, error: HeadwaterError): void {
    if (this.#held(table)) return;
    const { code, message } = error;
    const since = this.#paused.get(table)?.since ?? new Date(this.#now()).toISOString();
    const refused = this.#refusals?.refusedBy(error) ?? null;
    const topic = topicFaultOf(error) === null ? undefined : error.details.topic;
    const named = typeof topic === 'string' ? { topic } : {};
    this.#set(table, { v: 1, code, message, since, refused, ...named, accepted: false });
    this.#nextRetry = this.#now() + RETRY_MS;
  }

  /** A later version of a paused table has been accepted. */
  accept(table: string): void {
    const record = this.#paused.get(table);
    if (record === undefined || record.accepted || this.#held(table)) return;
    this.#set(table, { ...record, accepted: true });
    this.#acceptedAt ??= this.#now();
  }

  /** Topics of paused tables, by `schema.table`, that could not be had. */
  topics(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#paused].flatMap(([table, { topic, accepted }]) =>
        topic === undefined || accepted ? [] : [[table, topic]],
      ),
    );
  }

  /**
   * Offers what was refused again, and looks for topics, now and then; `mayWrite` answers whether a topic is there by
   * now. Throws `schema.accepted` where reading a table anew can begin. */
  retry(mayWrite: (topic: string) => Promise<boolean>): Promise<void> | undefined {
    if (this.#paused.size === 0) return undefined;
    const now = this.#now();
    if (this.#acceptedAt !== null && now - this.#acceptedAt >= SETTLE_MS) {
      const tables = [...this.#paused].flatMap(([table, { accepted }]) => (accepted ? [table] : []));
      throw new HeadwaterError(
        'schema.accepted',
        `Records can be written again of ${tables.join(', ')}; what was left out is read anew.`,
      );
    }
    if (now < this.#nextRetry) return undefined;
    this.#nextRetry = now + RETRY_MS;
    return this.#offerAll(mayWrite);
  }

  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    const changed = this.#changed;
    this.#changed = null;
    return changed ?? undefined;
  }

  #held(table: string): boolean {
    return this.#paused.get(table)?.code === HELD;
  }

  async #offerAll(mayWrite: (topic: string) => Promise<boolean>): Promise<void> {
    for (const [table, topic] of this.topics()) if (await mayWrite(topic)) this.accept(table);
    for (const [table, record] of this.#paused) {
      // What was not refused by the registry changes only with the settings, and so with a start.
      if (record.refused === null || record.accepted) continue;
      if ((await this.#offer(record)) === null) this.accept(table);
    }
  }

  async #offer({ refused, accepted }: PausedRecord): Promise<HeadwaterError | null> {
    if (accepted || refused === null || this.#refusals === null) return null;
    return await this.#refusals.offer(refused.subject, refused.schema);
  }

  #set(table: string, record: PausedRecord): void {
    this.#paused.set(table, record);
    this.#changed ??= new Map();
    this.#changed.set(PAUSED_PREFIX + table, JSON.stringify(record));
  }
}

/** `schema.table` of the tables that the durable state has paused for this. */
export function pausedFor(state: ReadonlyMap<string, string>, code: Code): ReadonlySet<string> {
  const tables = new Set<string>();
  for (const [key, text] of state)
    if (key.startsWith(PAUSED_PREFIX) && recordOf(text)?.code === code)
      tables.add(key.slice(PAUSED_PREFIX.length));
  return tables;
}

/** Whether an error is about one table's schema alone. */
export function pausesTable(thrown: unknown): HeadwaterError | null {
  const error = asHeadwaterError(thrown);
  return error.code.startsWith('schema.') && error.entry.fate === 'quarantine' ? error : null;
}

/** Whether an error says that the settings of a table do not fit its columns: a change of either mends it. */
export function misfitOf(thrown: unknown): HeadwaterError | null {
  const error = asHeadwaterError(thrown);
  return MISFITS.has(error.code) ? error : null;
}

const MISFITS: ReadonlySet<Code> = new Set<Code>([
  'settings.key-column-missing',
  'settings.column-missing',
  'settings.column-twice',
  'enrich.statement-invalid',
]);

/** Null for what this version has not written. */
function recordOf(text: string): PausedRecord | null {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) return null;
  const record = parsed as Partial<PausedRecord>;
  const known = record.v === 1 && record.code !== undefined && Object.hasOwn(CATALOGUE, record.code);
  return known ? (record as PausedRecord) : null;
}
