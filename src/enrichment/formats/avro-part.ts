/** Records in Avro with the ids of their schemas in front. */
import { PREFIX_BYTES, registeredId } from '../../schema/registry/record-prefix.ts';
import type { SqlValue } from '../sql/value.ts';
import { AvroInput, UNREADABLE } from './avro-input.ts';
import { AvroPlan } from './avro-reader.ts';
import { AvroSchemaError } from './avro-type.ts';
import type { FormatColumn, PartReader } from './format.ts';
import { type SchemaReader, wholeAvro } from './registry-access.ts';

/** An id that the registry does not have may be registered by and by. */
const UNKNOWN_MS = 30_000;
const MOST_UNKNOWN = 1_000;

export class AvroPart implements PartReader {
  readonly #columns: readonly FormatColumn[];
  readonly #reader: SchemaReader;
  readonly #signal: AbortSignal;
  readonly #input = new AvroInput();
  /** By the writer's schema; null where that is none of Avro. */
  readonly #plans = new Map<number, AvroPlan | null>();
  /** performance.now() of ids that were not there. */
  readonly #unknown = new Map<number, number>();
  #last = -1;
  #lastPlan: AvroPlan | null = null;

  constructor(columns: readonly FormatColumn[], reader: SchemaReader, signal: AbortSignal) {
    this.#columns = columns;
    this.#reader = reader;
    this.#signal = signal;
  }

  prepare(bytes: Uint8Array): Promise<void> | null {
    const id = registeredId(bytes);
    if (id < 0 || id === this.#last) return null;
    const plan = this.#plans.get(id);
    if (plan === undefined) {
      const since = this.#unknown.get(id);
      return since !== undefined && performance.now() - since < UNKNOWN_MS ? null : this.#load(id);
    }
    this.#last = id;
    this.#lastPlan = plan;
    return null;
  }

  read(bytes: Uint8Array, into: SqlValue[]): boolean {
    const id = registeredId(bytes);
    if (id < 0) return false;
    const plan = id === this.#last ? this.#lastPlan : (this.#plans.get(id) ?? null);
    if (plan === null) return false;
    const first = into.length;
    for (let i = 0; i < this.#columns.length; i++) into.push(null);
    this.#input.begin(bytes, PREFIX_BYTES);
    try {
      plan.read(this.#input, into, first);
      return true;
    } catch (error) {
      if (error === UNREADABLE) return false;
      throw error;
    }
  }

  async #load(id: number): Promise<void> {
    const schema = await this.#reader.byId(id, this.#signal);
    if (schema === null) {
      if (this.#unknown.size >= MOST_UNKNOWN) this.#unknown.clear();
      this.#unknown.set(id, performance.now());
      return;
    }
    this.#unknown.delete(id);
    try {
      const type = await wholeAvro(schema, this.#reader, this.#signal);
      this.#plans.set(id, AvroPlan.make(type, this.#columns));
    } catch (error) {
      if (!(error instanceof AvroSchemaError)) throw error;
      this.#plans.set(id, null);
    }
  }
}
