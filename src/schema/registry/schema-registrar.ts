/**
 * Which id a schema has, registering it where that is new. Ids are kept in the durable state that travels with
 * the records, so a start needs no answer from the registry for what it wrote before.
 */
import { createHash } from 'node:crypto';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Log } from '../../observability/log.ts';
import type { NamedSchema, SchemaPlace, SchemaReference, SchemaText } from './named-schema.ts';
import { REGISTRY_PREFIX } from '../../state/checkpoint.ts';
import type { Compatibility, RegistryClient } from './registry-client.ts';
import { schemaDifference } from './schema-difference.ts';

export interface RegistrarOptions {
  /** Confluent's TopicNameStrategy, RecordNameStrategy and TopicRecordNameStrategy. */
  readonly subject: 'topic' | 'record' | 'topic-record';
  /** `latest`: nothing is registered; the latest version of the subject has to be the schema. */
  readonly register: 'auto' | 'latest';
  /** Set on each subject where it is another; null: whatever the registry has. */
  readonly compatibility: Compatibility | null;
  readonly onIncompatible: 'pause_table' | 'new_topic' | 'set_none' | 'fail';
}

export interface Refused {
  readonly subject: string;
  readonly schema: NamedSchema;
}

interface Kept {
  readonly hash: string;
  readonly id: number;
}

/** What `takeChanged` gives belongs to the commit of the records that use the ids. */
export class SchemaRegistrar {
  readonly #client: RegistryClient;
  readonly #options: RegistrarOptions;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  /** As restored, not looked at yet in this run. */
  readonly #restored = new Map<string, Kept>();
  readonly #known = new Map<string, Promise<number>>();
  readonly #refused = new WeakMap<HeadwaterError, Refused>();
  readonly #settled = new Set<string>();
  #changed: Map<string, string | null> | null = null;

  constructor(
    client: RegistryClient,
    options: RegistrarOptions,
    run: { readonly state: ReadonlyMap<string, string>; readonly log: Log; readonly signal: AbortSignal },
  ) {
    this.#client = client;
    this.#options = options;
    this.#log = run.log;
    this.#signal = run.signal;
    for (const [key, text] of run.state) {
      if (!key.startsWith(REGISTRY_PREFIX)) continue;
      const kept = keptOf(text);
      if (kept !== null) this.#restored.set(key.slice(REGISTRY_PREFIX.length), kept);
    }
  }

  /** What was refused with this error, to be offered again later; null where nothing was. */
  refusedBy(error: unknown): Refused | null {
    return error instanceof HeadwaterError ? (this.#refused.get(error) ?? null) : null;
  }

  /** Null where the registry accepts it now, else why not. */
  async offer(subject: string, schema: NamedSchema): Promise<HeadwaterError | null> {
    try {
      await this.#find(subject, hashOf(schema), schema);
      return null;
    } catch (error) {
      if (error instanceof HeadwaterError && error.entry.fate === 'quarantine') return error;
      throw error;
    }
  }

  get onIncompatible(): RegistrarOptions['onIncompatible'] {
    return this.#options.onIncompatible;
  }

  subjectOf({ topic, part }: SchemaPlace, recordName: string): string {
    switch (this.#options.subject) {
      case 'topic':
        return `${topic}-${part}`;
      case 'record':
        return recordName;
      case 'topic-record':
        return `${topic}-${recordName}`;
    }
  }

  /**
   * Throws `schema.incompatible` with the exact difference (`schema.incompatible-stop` where that is to end the
   * pipeline), `schema.refused`, `schema.not-latest`, and what the client throws.
   */
  async id(place: SchemaPlace, schema: NamedSchema): Promise<number> {
    const subject = this.subjectOf(place, schema.name);
    const hash = hashOf(schema);
    const key = `${subject}\n${hash}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#find(subject, hash, schema);
      this.#known.set(key, known);
      // A refused schema may be accepted later.
      known.catch((error: unknown) => {
        this.#known.delete(key);
        if (error instanceof HeadwaterError) this.#refused.set(error, { subject, schema });
      });
    }
    return await known;
  }

  /** Registers a schema under its own name, for others to refer to. */
  async reference(schema: NamedSchema): Promise<SchemaReference> {
    const { name } = schema;
    const id = await this.#find(name, hashOf(schema), schema);
    const version = await this.#client.find(name, schema, { signal: this.#signal, patient: true });
    if (version !== null) return { name, subject: name, version: version.version };
    throw new HeadwaterError(
      'registry.answer-malformed',
      `The schema registry does not find the schema ${id} under the subject ${name}, where it was just registered.`,
    );
  }

  /** What became new since the last call, to be made durable with the records. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    const changed = this.#changed;
    this.#changed = null;
    return changed ?? undefined;
  }

  async #find(subject: string, hash: string, schema: SchemaText): Promise<number> {
    const restored = this.#restored.get(subject);
    if (restored?.hash === hash && (await this.#stillThere(subject, schema, restored.id))) return restored.id;
    const id =
      this.#options.register === 'auto'
        ? await this.#register(subject, schema)
        : await this.#latest(subject, schema);
    this.#restored.set(subject, { hash, id });
    this.#changed ??= new Map();
    this.#changed.set(REGISTRY_PREFIX + subject, JSON.stringify({ hash, id }));
    return id;
  }

  /** A registry that is away is believed to be the one it was: ids never change their meaning. */
  async #stillThere(subject: string, schema: SchemaText, id: number): Promise<boolean> {
    try {
      const found = await this.#client.find(subject, schema, { signal: this.#signal, patient: false });
      if (found?.id === id) return true;
    } catch (error) {
      if (error instanceof HeadwaterError && error.entry.fate === 'retry') return true;
      throw error;
    }
    this.#log.warn(
      { subject, id },
      `The schema registry no longer has the schema ${id} of ${subject}, which records were written with; it is registered anew, and records with the old id cannot be read until it is restored.`,
    );
    return false;
  }

  async #register(subject: string, schema: SchemaText): Promise<number> {
    const client = this.#client;
    const signal = this.#signal;
    const { compatibility, onIncompatible } = this.#options;
    const settle = compatibility !== null && !this.#settled.has(subject);
    // A level can be set only on a subject that is there.
    const existed = settle && (await client.latest(subject, signal)) !== null;
    if (settle && existed) await this.#settle(subject, compatibility);
    let id: number;
    try {
      id = await client.register(subject, schema, signal);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'schema.incompatible') throw error;
      const explained = await this.#explained(subject, schema, error);
      if (onIncompatible === 'fail') throw stopping(explained);
      if (onIncompatible !== 'set_none') throw explained;
      this.#log.warn(
        { subject },
        `${explained.message} Its compatibility is set to NONE, as the settings ask for.`,
      );
      await client.setCompatibility(subject, 'NONE', signal);
      id = await client.register(subject, schema, signal);
    }
    if (settle && !existed) await this.#settle(subject, compatibility);
    return id;
  }

  async #settle(subject: string, level: Compatibility): Promise<void> {
    if ((await this.#client.compatibility(subject, this.#signal)) !== level)
      await this.#client.setCompatibility(subject, level, this.#signal);
    this.#settled.add(subject);
  }

  async #latest(subject: string, schema: SchemaText): Promise<number> {
    const latest = await this.#client.latest(subject, this.#signal);
    if (latest === null)
      throw new HeadwaterError(
        'schema.not-latest',
        `The subject ${subject} has no schema, and emit.registry.register is latest.`,
        { details: { subject } },
      );
    const found = await this.#client.find(subject, schema, { signal: this.#signal, patient: true });
    if (found !== null && found.version === latest.version) return found.id;
    const difference = schemaDifference(latest, schema);
    throw new HeadwaterError(
      'schema.not-latest',
      `The latest schema of ${subject} (version ${latest.version}) is not that of the table: ${difference.join('; ') || 'their texts differ'}.`,
      { details: { subject, difference: difference.join('; ') } },
    );
  }

  async #explained(subject: string, schema: SchemaText, error: HeadwaterError): Promise<HeadwaterError> {
    const latest = await this.#client.latest(subject, this.#signal);
    const difference = latest === null ? [] : schemaDifference(latest, schema);
    const reasons = await this.#client.incompatibilities(subject, schema, this.#signal);
    const level = (await this.#client.compatibility(subject, this.#signal)) ?? 'unknown';
    const what = difference.length === 0 ? error.message : `${difference.join('; ')}.`;
    return new HeadwaterError(
      'schema.incompatible',
      `The compatibility ${level} of the subject ${subject} forbids the table’s new schema: ${what}`,
      { details: { subject, difference: difference.join('; '), reasons: reasons.join('; ') }, cause: error },
    );
  }
}

function stopping(error: HeadwaterError): HeadwaterError {
  return new HeadwaterError('schema.incompatible-stop', error.message, {
    details: error.details,
    cause: error,
  });
}

function hashOf({ type, text, references }: SchemaText): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([type, text, references]));
  return hash.digest('hex').slice(0, 32);
}

function keptOf(text: string): Kept | null {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { hash, id } = parsed as { readonly hash?: unknown; readonly id?: unknown };
  return typeof hash === 'string' && typeof id === 'number' ? { hash, id } : null;
}
