/**
 * Confluent's schema registry API (as Apicurio, Karapace and Redpanda have it too), as far as a producer needs it.
 * Why not a library: docs/decisions/0005-schema-registry-client.md.
 */
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Log } from '../../observability/log.ts';
import type { SchemaReference, SchemaText } from './named-schema.ts';

export interface RegisteredVersion extends SchemaText {
  readonly id: number;
  readonly version: number;
}

export type Compatibility =
  'NONE' | 'BACKWARD' | 'BACKWARD_TRANSITIVE' | 'FORWARD' | 'FORWARD_TRANSITIVE' | 'FULL' | 'FULL_TRANSITIVE';

export interface RegistryOptions {
  /** With any base path: `https://registry:8443/apis/ccompat/v7`. Several are tried in order. */
  readonly urls: readonly string[];
  readonly auth:
    | { readonly kind: 'none' }
    | { readonly kind: 'basic'; readonly username: string; readonly password: string }
    | { readonly kind: 'bearer'; readonly token: () => Promise<string> };
  readonly tls: {
    /** `require` encrypts without checking who answers; `verify-ca` checks the certificate but not its name. */
    readonly mode: 'require' | 'verify-ca' | 'verify-full';
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  };
  /** Of one request. */
  readonly requestTimeoutMs: number;
  /** How long a registry that does not answer is asked again before the error is thrown. */
  readonly patienceMs: number;
}

/** Answers are small; what is larger is not one of a registry. */
const LARGEST_ANSWER = 16 * 1024 * 1024;
const IDLE_MS = 20_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

const CERTIFICATE_ERRORS = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO$)/;

/** Idle connections close by themselves and do not keep the process alive: there is nothing to dispose of. */
export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #log: Log;
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 4, timeout: IDLE_MS });
  readonly #https: HttpsAgent;
  /** Index of the URL that answered last. */
  #current = 0;

  constructor(options: RegistryOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    const { mode, ca, cert, key } = options.tls;
    this.#https = new HttpsAgent({
      keepAlive: true,
      maxSockets: 4,
      timeout: IDLE_MS,
      rejectUnauthorized: mode !== 'require',
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  }

  /**
   * The id of the schema under the subject, registered if it is new. Throws `schema.incompatible` where the
   * subject's compatibility forbids it, `schema.refused` where the registry cannot make sense of it.
   */
  async register(subject: string, schema: SchemaText, signal: AbortSignal): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const answer = await this.#ask({ method: 'POST', path, body: bodyOf(schema) }, signal);
    switch (answer.status) {
      case 200:
        return idIn(answer);
      case 409:
        throw new HeadwaterError(
          'schema.incompatible',
          `The registry refuses the new schema of ${subject} as incompatible: ${answer.message}`,
          { details: { subject } },
        );
      case 400:
      case 422:
        throw new HeadwaterError(
          'schema.refused',
          `The registry does not accept the schema of ${subject}: ${answer.message}`,
          { details: { subject, errorCode: answer.errorCode } },
        );
      default:
        throw unexpected(answer, `registering a schema of ${subject}`);
    }
  }

  /** The latest version of a subject; null where there is none. */
  async latest(subject: string, signal: AbortSignal): Promise<RegisteredVersion | null> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`;
    const answer = await this.#ask({ method: 'GET', path }, signal);
    if (answer.status === 404 && isMissing(answer)) return null;
    if (answer.status !== 200) throw unexpected(answer, `asking for the latest schema of ${subject}`);
    return versionIn(answer);
  }

  /** The schema that records name by this id; null where there is none. */
  async byId(id: number, signal: AbortSignal): Promise<SchemaText | null> {
    const answer = await this.#ask({ method: 'GET', path: `/schemas/ids/${id}` }, signal);
    if (answer.status === 404 && isMissing(answer)) return null;
    if (answer.status !== 200) throw unexpected(answer, `asking for the schema ${id}`);
    return schemaIn(answer);
  }

  /** A version of a subject, as others refer to it; null where there is none. */
  async version(subject: string, version: number, signal: AbortSignal): Promise<SchemaText | null> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`;
    const answer = await this.#ask({ method: 'GET', path }, signal);
    if (answer.status === 404 && isMissing(answer)) return null;
    if (answer.status !== 200) throw unexpected(answer, `asking for version ${version} of ${subject}`);
    return schemaIn(answer);
  }

  /**
   * The version under which the subject has this very schema; null where it does not have it. `patient`: whether a
   * registry that is away is asked again.
   */
  async find(
    subject: string,
    schema: SchemaText,
    { signal, patient }: { readonly signal: AbortSignal; readonly patient: boolean },
  ): Promise<RegisteredVersion | null> {
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const question = { method: 'POST', path, body: bodyOf(schema) } as const;
    const answer = await (patient ? this.#ask(question, signal) : this.#once(question, signal));
    if (answer.status === 404 && isMissing(answer)) return null;
    if (answer.status !== 200) throw unexpected(answer, `looking for a schema of ${subject}`);
    return versionIn(answer);
  }

  /** Why the schema is incompatible with what the subject has, in the registry's words; none where it is not. */
  async incompatibilities(
    subject: string,
    schema: SchemaText,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions?verbose=true`;
    const answer = await this.#ask({ method: 'POST', path, body: bodyOf(schema) }, signal);
    if (answer.status !== 200) return [];
    const { messages } = answer.json;
    if (!Array.isArray(messages)) return [];
    return messages.filter((message) => typeof message === 'string');
  }

  /** The subject's own level, or the registry's where it has none. */
  async compatibility(subject: string, signal: AbortSignal): Promise<string | null> {
    const path = `/config/${encodeURIComponent(subject)}?defaultToGlobal=true`;
    const answer = await this.#ask({ method: 'GET', path }, signal);
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw unexpected(answer, `asking for the compatibility of ${subject}`);
    const { compatibilityLevel } = answer.json;
    return typeof compatibilityLevel === 'string' ? compatibilityLevel : null;
  }

  async setCompatibility(subject: string, level: Compatibility, signal: AbortSignal): Promise<void> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const answer = await this.#ask({ method: 'PUT', path, body: { compatibility: level } }, signal);
    if (answer.status !== 200) throw unexpected(answer, `setting the compatibility of ${subject}`);
  }

  /** Deletes all versions of the subject, as far as the registry lets one; one that is not there is no error. */
  async deleteSubject(subject: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#ask(
      { method: 'DELETE', path: `/subjects/${encodeURIComponent(subject)}` },
      signal,
    );
    if (answer.status === 200 || (answer.status === 404 && isMissing(answer))) return;
    throw unexpected(answer, `deleting the schemas of ${subject}`);
  }

  /** Throws what is wrong with the address, the login or the server. */
  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.#once({ method: 'GET', path: '/subjects' }, signal);
    if (answer.status !== 200 || !Array.isArray(answer.value))
      throw unexpected(answer, 'listing the subjects');
  }

  /** Asks again while the registry is away or unwell, at growing intervals: that costs only time. */
  async #ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const since = performance.now();
    let delay = FIRST_DELAY_MS;
    for (;;) {
      try {
        return await this.#once(question, signal);
      } catch (error) {
        const again = error instanceof HeadwaterError && error.entry.fate === 'retry';
        if (!again || signal.aborted || performance.now() - since + delay > this.#options.patienceMs)
          throw error;
        this.#log.warn({ code: error.code, retryInMs: delay }, error.message);
      }
      await sleep(delay, undefined, { signal });
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    }
  }

  async #once(question: Question, signal: AbortSignal): Promise<Answer> {
    const { urls } = this.#options;
    for (let tried = 1; ; tried++) {
      const base = urls[this.#current % urls.length]!;
      try {
        return await this.#send(base, question, signal);
      } catch (error) {
        if (!(error instanceof HeadwaterError) || error.entry.fate !== 'retry') throw error;
        this.#current++;
        if (tried >= urls.length) throw error;
      }
    }
  }

  async #send(base: string, question: Question, signal: AbortSignal): Promise<Answer> {
    const url = new URL(base.replace(/\/+$/, '') + question.path);
    const place = `${url.protocol}//${url.host}${new URL(base).pathname.replace(/\/$/, '')}`;
    const headers: Record<string, string> = {
      accept: 'application/vnd.schemaregistry.v1+json, application/json',
    };
    const authorization = await this.#authorization();
    if (authorization !== null) headers['authorization'] = authorization;
    const body = question.body === undefined ? null : JSON.stringify(question.body);
    if (body !== null) {
      headers['content-type'] = 'application/vnd.schemaregistry.v1+json';
      headers['content-length'] = String(Buffer.byteLength(body));
    }
    const secure = url.protocol === 'https:';
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const timeout = AbortSignal.timeout(this.#options.requestTimeoutMs);
    const options = { method: question.method, headers, signal: AbortSignal.any([signal, timeout]) };
    const asked = secure
      ? httpsRequest(url, { ...options, agent: this.#https }, resolve)
      : httpRequest(url, { ...options, agent: this.#http }, resolve);
    asked.on('error', reject);
    asked.end(body ?? undefined);
    let status: number;
    let text: string;
    try {
      const response = await promise;
      status = response.statusCode ?? 0;
      text = await textOf(response);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw unreachable(place, error, timeout.aborted);
    }
    return answerOf(place, status, text);
  }

  async #authorization(): Promise<string | null> {
    const { auth } = this.#options;
    switch (auth.kind) {
      case 'none':
        return null;
      case 'basic':
        return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
      case 'bearer':
        return `Bearer ${await auth.token()}`;
    }
  }
}

interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

interface Answer {
  /** The registry's address, for messages. */
  readonly place: string;
  readonly status: number;
  readonly value: unknown;
  /** The value where it is an object, else an empty one. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly errorCode: number | null;
  readonly message: string;
}

function bodyOf({ type, text, references }: SchemaText): unknown {
  return {
    schema: text,
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) {
      response.destroy();
      throw new Error(`the answer is longer than ${LARGEST_ANSWER} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Throws for what no question has an answer to: refused logins, errors of the server, what is not JSON. */
function answerOf(place: string, status: number, text: string): Answer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const json = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const errorCode = typeof json['error_code'] === 'number' ? json['error_code'] : null;
  const said = typeof json['message'] === 'string' ? json['message'] : (json['detail'] ?? json['title']);
  const message = sentence(typeof said === 'string' ? said : `HTTP status ${status}`);
  if (status === 401 || status === 403)
    throw new HeadwaterError(
      'registry.auth-failed',
      `The schema registry ${place} refuses the login (${status}).`,
    );
  if (status >= 500 || status === 429)
    throw new HeadwaterError(
      'registry.unwell',
      `The schema registry ${place} answers with ${status}: ${message}`,
    );
  if (value === undefined)
    throw new HeadwaterError(
      'registry.answer-malformed',
      `The schema registry ${place} answers with something that is not JSON (status ${status}).`,
    );
  return { place, status, value, json, errorCode, message };
}

/** One line that ends in a full stop. */
function sentence(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim().slice(0, 1_000);
  return /[.!?]$/.test(line) ? line : `${line}.`;
}

/** Of a subject, version or schema; a 404 without such a code comes from something that is no registry. */
function isMissing({ errorCode }: Answer): boolean {
  return errorCode !== null && errorCode >= 40401 && errorCode <= 40408;
}

function unexpected({ place, status, message }: Answer, what: string): HeadwaterError {
  return new HeadwaterError(
    'registry.answer-malformed',
    `The schema registry ${place} answers ${what} with ${status}: ${message}`,
  );
}

function unreachable(place: string, error: unknown, timedOut: boolean): HeadwaterError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (CERTIFICATE_ERRORS.test(code))
    return new HeadwaterError(
      'registry.tls-failed',
      `TLS with the schema registry ${place} failed: ${message}.`,
      {
        cause: error,
      },
    );
  const why = timedOut ? 'no answer in time' : code === '' ? message : code;
  return new HeadwaterError(
    'registry.unreachable',
    `The schema registry ${place} cannot be reached: ${why}.`,
    {
      cause: error,
    },
  );
}

function idIn(answer: Answer): number {
  const { id } = answer.json;
  // Four bytes carry it.
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= 0x7fff_ffff) return id;
  throw malformed(answer, 'an id');
}

function versionIn(answer: Answer): RegisteredVersion {
  const { version } = answer.json;
  if (typeof version !== 'number') throw malformed(answer, 'a version');
  return { id: idIn(answer), version, ...schemaIn(answer) };
}

function schemaIn(answer: Answer): SchemaText {
  const { schema, schemaType, references } = answer.json;
  if (typeof schema !== 'string') throw malformed(answer, 'a schema');
  return {
    text: schema,
    type: schemaType === 'JSON' || schemaType === 'PROTOBUF' ? schemaType : 'AVRO',
    references: Array.isArray(references) ? references.filter(isReference) : [],
  };
}

function isReference(value: unknown): value is SchemaReference {
  if (typeof value !== 'object' || value === null) return false;
  const { name, subject, version } = value as Record<string, unknown>;
  return typeof name === 'string' && typeof subject === 'string' && typeof version === 'number';
}

function malformed({ place }: Answer, what: string): HeadwaterError {
  return new HeadwaterError(
    'registry.answer-malformed',
    `The schema registry ${place} answered without ${what} where one was due.`,
  );
}
