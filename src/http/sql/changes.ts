/** `POST /ksql`: statements that change what runs (docs/sql-api.md; `currentStatus`). */
import { entryOf } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { LiveQueries } from '../../enrichment/queries/live-queries.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import { type Outcome, StatementChanges } from '../../enrichment/queries/statement-changes.ts';
import { formatsOf } from '../../enrichment/plan/sink-format.ts';
import type { Program } from '../../enrichment/plan/program.ts';
import type { Source } from '../../enrichment/sources/catalog.ts';
import type { Statement } from '../../enrichment/sql/ast.ts';
import type { Parsed } from '../../enrichment/sql/parse-statement.ts';
import type { SchemaPlace } from '../../schema/registry/named-schema.ts';
import { sqlError } from '../../enrichment/sql/sql-error.ts';
import { SqlApiError } from './api-error.ts';
import { readOptions } from './select-request.ts';

/** Makes an edit of a pipeline's durable state. Resolves when it is durable; see daemon/requests.ts. */
export type ChangePipeline = (pipeline: string, edits: ReadonlyMap<string, string | null>) => Promise<void>;

const CHANGING = [
  'createSource',
  'createAs',
  'insertSelect',
  'drop',
  'terminate',
  'pause',
  'resume',
] as const;
type Changing = Extract<Statement, { readonly kind: (typeof CHANGING)[number] }>;

export function changes(statement: Statement): statement is Changing {
  return CHANGING.some((kind) => kind === statement.kind);
}

/** How long a pipeline that goes by other statements is waited for. */
const START_MS = 60_000;
/** Of which pipeline a new topic is to be, where there are several. */
const PIPELINE = 'headwater.pipeline';

interface CommandStatus {
  status: 'SUCCESS' | 'QUEUED';
  message: string;
  queryId: string | null;
}

/** A topic to be deleted, with the schemas that are registered for it. */
interface Deleted {
  readonly live: LiveQueries;
  readonly topic: string;
  readonly parts: readonly SchemaPlace['part'][];
  readonly status: CommandStatus | undefined;
}

/** The statements of one request. They are carried out together, each behind those before it. */
export class RequestedChanges {
  readonly #desk: QueryDesk;
  readonly #change: ChangePipeline;
  readonly #signal: AbortSignal;
  readonly #pending = new Map<string, StatementChanges>();
  readonly #statuses: CommandStatus[] = [];
  /** Topics to be deleted when nothing reads them any more. */
  readonly #deleted: Deleted[] = [];

  constructor(desk: QueryDesk, change: ChangePipeline, signal: AbortSignal) {
    this.#desk = desk;
    this.#change = change;
    this.#signal = signal;
  }

  /** The entities of the statement; what it does is done by `carryOut`. Throws what is wrong with it. */
  async add(
    parsed: Parsed,
    statement: Changing,
    properties: ReadonlyMap<string, string>,
  ): Promise<readonly object[]> {
    const names = this.#pipelinesOf(parsed, statement, properties);
    const entities: object[] = [];
    for (const name of names) entities.push(...(await this.#addTo(name, parsed, statement, properties)));
    return entities;
  }

  /** Resolves when the pipelines go by all that was added, and each entity says so. */
  async carryOut(): Promise<void> {
    const statuses = this.#statuses.splice(0);
    const pending = [...this.#pending];
    this.#pending.clear();
    let late = false;
    for (const [pipeline, { edits, live }] of pending) {
      if (edits.size === 0) continue;
      try {
        await this.#change(pipeline, edits);
      } catch (error) {
        if (!(error instanceof HeadwaterError) || error.code !== 'request.timed-out') throw error;
        late = true;
        continue;
      }
      late ||= !(await withinMs(START_MS, this.#desk.successor(pipeline, live)));
    }
    for (const status of statuses) {
      if (!late) status.status = 'SUCCESS';
      else status.message = 'Accepted; the pipeline has not come to it yet.';
    }
    for (const deleted of this.#deleted.splice(0)) if (!late) await this.#delete(deleted);
  }

  async #delete({ live, topic, parts, status }: Deleted): Promise<void> {
    const { access, registry } = live.basis;
    if (access === null) return;
    await using admin = await access.openAdmin();
    await admin.delete(topic);
    try {
      for (const part of parts) await registry?.forget({ topic, part }, this.#signal);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || status === undefined) throw error;
      status.message += ` Its schemas are still registered: ${error.message}`;
    }
  }

  async #addTo(
    pipeline: string,
    parsed: Parsed,
    statement: Changing,
    properties: ReadonlyMap<string, string>,
  ): Promise<readonly object[]> {
    const live = this.#desk.running.get(pipeline);
    if (live === undefined) throw notRunning();
    let pending = this.#pending.get(pipeline);
    if (pending === undefined)
      this.#pending.set(pipeline, (pending = new StatementChanges(live, this.#signal)));
    const deletes = statement.kind === 'drop' && statement.deleteTopic;
    if (deletes) {
      const why = whyKept(statement.name, live, pending.program);
      if (why !== null) throw sqlError(parsed.source, statement.at, `${why}: leave DELETE TOPIC out`);
    }
    const outcome = await outcomeOf(pending, parsed, statement, properties);
    const entities = this.#entities(outcome, live);
    if (outcome.kind === 'dropped' && deletes) {
      const { source } = outcome;
      if (source !== null)
        this.#deleted.push({
          live,
          topic: live.topicOf(source),
          parts: registeredParts(source),
          status: this.#statuses.at(-1),
        });
    }
    return entities;
  }

  #entities(outcome: Outcome, live: LiveQueries): readonly object[] {
    switch (outcome.kind) {
      case 'nothing':
        return [{ '@type': 'warning_entity', message: outcome.message }];
      case 'created': {
        const { source, query, number } = outcome;
        const message = query === null ? `${kindOf(source)} created` : `Created query with ID ${query.id}`;
        const commandId =
          source === null ? `query/${quoted(query?.id ?? '')}/create` : `${ofSource(source)}/create`;
        return [this.#status(commandId, { message, queryId: query?.id ?? null, number })];
      }
      case 'dropped': {
        const { source, type, name, number } = outcome;
        const topic = source === null ? '' : ` (topic: ${live.topicOf(source)})`;
        const message = `Source ${quoted(name)}${topic} was dropped.`;
        return [this.#status(`${ofSource({ kind: type, name })}/drop`, { message, queryId: null, number })];
      }
      case 'terminated':
      case 'paused':
      case 'resumed': {
        const verb = { terminated: 'terminate', paused: 'pause', resumed: 'resume' }[outcome.kind];
        return outcome.ids.map((id) =>
          this.#status(`${verb}/${id}/execute`, {
            message: `Query ${outcome.kind}.`,
            queryId: id,
            number: -1,
          }),
        );
      }
    }
  }

  #status(
    commandId: string,
    {
      message,
      queryId,
      number,
    }: { readonly message: string; readonly queryId: string | null; readonly number: number },
  ): object {
    const commandStatus: CommandStatus = { status: 'QUEUED', message, queryId };
    this.#statuses.push(commandStatus);
    return { '@type': 'currentStatus', commandId, commandStatus, commandSequenceNumber: number };
  }

  /** The pipelines that the statement is about: one, but for ALL. */
  #pipelinesOf(
    { source, statement: { at } }: Parsed,
    statement: Changing,
    properties: ReadonlyMap<string, string>,
  ): readonly string[] {
    const running = [...this.#desk.running.keys()];
    const [first] = running;
    if (first === undefined) throw notRunning();
    if (running.length === 1) return [first];
    switch (statement.kind) {
      case 'createSource': {
        const captured = statement.properties.find(({ key }) => key === 'CDC_TABLE')?.value;
        const wanted =
          typeof captured === 'string' ? (captured.split('.')[0] ?? '') : properties.get(PIPELINE);
        if (wanted !== undefined && running.includes(wanted)) return [wanted];
        throw sqlError(
          source,
          at,
          wanted === undefined
            ? `there are the pipelines ${running.join(', ')}: SET '${PIPELINE}' says which one reads the topic`
            : `there is no pipeline ${wanted}; there are ${running.join(', ')}`,
        );
      }
      case 'createAs':
      case 'insertSelect':
        return [this.#ownerOf(statement.select.from.name)];
      case 'drop':
        return [this.#ownerOf(statement.name)];
      case 'terminate':
      case 'pause':
      case 'resume': {
        const { id } = statement;
        if (id === null) return running;
        const owner = running.find((name) => this.#programOf(name)?.queries.some((query) => query.id === id));
        return [owner ?? first];
      }
    }
  }

  /** The first where there is none: it says so. */
  #ownerOf(name: string): string {
    const running = [...this.#desk.running.keys()];
    const owners = running.filter(
      (pipeline) => this.#programOf(pipeline)?.program.catalog.get(name) !== undefined,
    );
    if (owners.length > 1)
      throw new SqlApiError(
        40001,
        `The pipelines ${owners.join(' and ')} both have a ${name}; ask each in a process of its own.`,
      );
    return owners[0] ?? running[0] ?? '';
  }

  /** With what this request has added. */
  #programOf(pipeline: string): StatementChanges | undefined {
    const pending = this.#pending.get(pipeline);
    if (pending !== undefined) return pending;
    const live = this.#desk.running.get(pipeline);
    return live === undefined ? undefined : new StatementChanges(live, this.#signal);
  }
}

/** How durable state is named, of this pipeline and of others. */
const STATE_TOPIC = /^headwater\..*\.state$/;

/** Why the topic of a stream or table that is dropped has to stay; null where it can go. */
function whyKept(name: string, live: LiveQueries, { catalog, paused }: Program): string | null {
  const dropped = catalog.get(name);
  if (dropped === undefined)
    return paused.some(({ target }) => target === name) ? `${name} is paused, and its topic not known` : null;
  const topic = live.topicOf(dropped);
  if (live.basis.tableTopics.has(topic)) return `the topic ${topic} is that of a captured table`;
  if (STATE_TOPIC.test(topic)) return `the topic ${topic} holds the state of a pipeline`;
  const user = [...catalog.all()].find((other) => other !== dropped && live.topicOf(other) === topic);
  return user === undefined ? null : `the topic ${topic} is that of ${user.name} too`;
}

/** Whose schemas the registry has. */
function registeredParts(source: Source): Deleted['parts'] {
  const formats = formatsOf(source);
  const parts: SchemaPlace['part'][] = [];
  if (formats?.keyFormat === 'AVRO') parts.push('key');
  if (formats?.valueFormat === 'AVRO') parts.push('value');
  return parts;
}

function outcomeOf(
  pending: StatementChanges,
  parsed: Parsed,
  statement: Changing,
  properties: ReadonlyMap<string, string>,
): Promise<Outcome> {
  switch (statement.kind) {
    case 'createSource':
    case 'createAs':
    case 'insertSelect':
      return pending.create(parsed, { fromLatest: readOptions(properties).fromLatest, opens: true });
    case 'drop':
      return pending.drop(parsed, statement);
    case 'terminate':
      return pending.terminate(parsed, statement);
    case 'pause':
    case 'resume':
      return pending.hold(parsed, statement);
  }
}

async function withinMs(ms: number, done: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function notRunning(): SqlApiError {
  return new SqlApiError(50302, `No pipeline with statements runs. ${entryOf('query.not-running').advice}`);
}

function kindOf(source: Source | null): string {
  return source?.kind === 'TABLE' ? 'Table' : 'Stream';
}

function ofSource({ kind, name }: Pick<Source, 'kind' | 'name'>): string {
  return `${kind.toLowerCase()}/${quoted(name)}`;
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
