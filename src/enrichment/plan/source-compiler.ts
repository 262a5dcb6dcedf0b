/** CREATE STREAM and CREATE TABLE of captured tables, and of topics. */
import { tableName } from '../../model/table.ts';
import { CapturedSource } from '../sources/captured-source.ts';
import { inputStream, keysInOrder } from '../sources/catalog.ts';
import { type TopicSource, topicSource } from '../sources/topic-source.ts';
import type { CreateSource } from '../sql/ast.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import { typeText } from '../sql/sql-type.ts';
import { Replica } from '../state/replica.ts';
import { TopicTable } from '../topics/topic-table.ts';
import { capturedTable, type Declared, readsTopic } from './declared.ts';
import { inferredFor } from './inferred-columns.ts';
import type { ProgramContext } from './program.ts';
import type { ProgramNames } from './program-names.ts';

export class SourceCompiler {
  /** Of captured tables that statements read as streams. */
  readonly streams: CapturedSource[] = [];
  readonly topicTables: TopicTable[] = [];
  readonly #names: ProgramNames;
  readonly #context: ProgramContext;
  readonly #replicas: Replica[] = [];
  /** How those topics are made that a statement is to make. */
  readonly #created = new Map<string, NonNullable<TopicSource['create']>>();

  constructor(names: ProgramNames, context: ProgramContext) {
    this.#names = names;
    this.#context = context;
  }

  /** Of all captured tables that are kept, when no statement is to come any more. */
  replicas(): readonly Replica[] {
    for (const { captured } of this.#replicas) captured.close();
    return this.#replicas;
  }

  /** Throws HeadwaterError where the statement is wrong. */
  add(declared: Declared, statement: CreateSource): void {
    const { source } = declared.parsed;
    if (readsTopic(statement)) {
      this.#addOfTopic(declared, statement);
      return;
    }
    const id = capturedTable(declared, statement, this.#context.pipeline);
    if (!this.#names.isFree(source, statement)) return;
    const { name, type, at } = statement;
    const schema = this.#context.describe(tableName(id));
    if (schema === null)
      throw sqlError(
        source,
        at,
        `the table ${tableName(id)} is not captured; list it in source.tables, or correct CDC_TABLE`,
      );
    const captured = new CapturedSource(schema, this.#context.shown);
    const { columns } = captured;
    if (type === 'STREAM') {
      this.streams.push(captured);
      this.#names.catalog.add(inputStream({ name, columns, captured }));
      return;
    }
    if (captured.keys.length === 0)
      throw sqlError(
        source,
        at,
        `the table ${tableName(id)} has no primary key, which a TABLE needs; it can be a STREAM`,
      );
    for (const { type, spelling } of captured.keys)
      if (type.kind === 'ARRAY' || type.kind === 'STRUCT')
        throw notSupported(
          source,
          at,
          `the key column ${spelling} of ${tableName(id)} is ${typeText(type)}, by which no row can be looked up; the table can be a STREAM`,
        );
    // Whoever asks for rows asks for their keys.
    for (const [index, { key }] of columns.entries()) if (key || statement.readOnly) captured.slot(index);
    const index = this.#replicas.length;
    const { stores, journal } = this.#context;
    const replica = new Replica(index, captured, stores.table(index), journal);
    this.#replicas.push(replica);
    const keyOrder = keysInOrder(columns);
    const made = { captured, result: null, topic: null };
    this.#names.catalog.add({ kind: 'TABLE', name, columns, ...made, keyOrder, rows: replica });
  }

  #addOfTopic(declared: Declared, statement: CreateSource): void {
    const { inferred, registry } = this.#context;
    const written = topicSource(declared, statement, {
      inferred: (part) => inferredFor(inferred, statement, part),
      registry,
    });
    // Whichever of them is read first makes the topic.
    const create = written.create ?? this.#created.get(written.topic) ?? null;
    const topic = { ...written, create };
    const { source } = declared.parsed;
    if (!this.#names.isFree(source, statement)) return;
    if (this.#names.written.has(topic.topic) && this.#context.shared !== true)
      throw sqlError(
        source,
        statement.at,
        `the topic ${topic.topic} is written by a query above; read that query's stream`,
      );
    this.#names.inputs.add(topic.topic);
    if (create !== null) this.#created.set(topic.topic, create);
    const { name } = statement;
    const { columns } = topic;
    this.#names.ofTopics.add(name);
    if (statement.type === 'STREAM') {
      this.#names.catalog.add(inputStream({ name, columns, topic }));
      return;
    }
    const keyOrder = keysInOrder(columns);
    const rows = new TopicTable(name, topic, this.#context.stores.refilled(this.topicTables.length));
    this.topicTables.push(rows);
    this.#names.catalog.add({
      kind: 'TABLE',
      name,
      columns,
      captured: null,
      result: null,
      topic,
      keyOrder,
      rows,
    });
  }
}
