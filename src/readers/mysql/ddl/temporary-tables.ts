import type { TableId } from '../../../model/table.ts';
import type { Statement } from './statement.ts';

/** Sessions of whose temporary tables the log tells, beyond this the oldest are forgotten. */
const MAX_SESSIONS = 10_000;
const NONE: Statement = { kind: 'none' };
type Renames = Extract<Statement, { readonly kind: 'renames' }>;

/**
 * Temporary tables of sessions whose statements are logged (`binlog_format` MIXED or STATEMENT). Each hides a table of the
 * same name from its session: what the session says of that name is not of the table that others see. Statements that use one are
 * marked in the log (LOG_EVENT_THREAD_SPECIFIC_F), also where CREATE TEMPORARY TABLE lies before the place where reading
 * began.
 */
export class TemporaryTables {
  readonly #sessions = new Map<number, Set<string>>();
  readonly #nameOf: (id: TableId) => string;
  readonly #renamesAll: boolean;

  constructor(nameOf: (id: TableId) => string, product: 'mysql' | 'mariadb') {
    this.#nameOf = nameOf;
    this.#renamesAll = product === 'mariadb';
  }

  /** What the statement does to tables that are not temporary. */
  without(
    statement: Statement,
    { thread, usesTemporary }: { readonly thread: number; readonly usesTemporary: boolean },
  ): Statement {
    if (statement.kind === 'temporary') {
      for (const id of statement.ids) this.#note(thread, id, statement.verb);
      return NONE;
    }
    if (statement.kind === 'renames') return this.#renamed(thread, statement, usesTemporary);
    if (!usesTemporary) return statement;
    switch (statement.kind) {
      case 'truncate':
      case 'partitions':
        return NONE;
      case 'tables':
        // CREATE TABLE … SELECT may read one; what is dropped is logged apart.
        return statement.verb === 'alter' ? NONE : statement;
      case 'rows':
        return { kind: 'rows', ids: statement.ids.filter((id) => !this.#isOf(thread, id)) };
      default:
        return statement;
    }
  }

  /** MySQL renames temporary tables by ALTER TABLE alone, MariaDB by RENAME TABLE too, which it does not mark. */
  #renamed(thread: number, statement: Renames, usesTemporary: boolean): Statement {
    if (!usesTemporary && !this.#renamesAll) return statement;
    const others: (readonly [TableId, TableId])[] = [];
    for (const pair of statement.pairs) {
      const [from, to] = pair;
      if (this.#isOf(thread, from)) {
        this.#note(thread, from, 'drop');
        this.#note(thread, to, 'create');
      } else {
        others.push(pair);
      }
    }
    if (others.length === 0) return NONE;
    return usesTemporary ? { kind: 'unknown' } : { kind: 'renames', pairs: others };
  }

  #isOf(thread: number, id: TableId): boolean {
    return this.#sessions.get(thread)?.has(this.#nameOf(id)) === true;
  }

  #note(thread: number, id: TableId, verb: 'create' | 'drop'): void {
    const known = this.#sessions.get(thread) ?? new Set();
    if (verb === 'create') known.add(this.#nameOf(id));
    else known.delete(this.#nameOf(id));
    this.#sessions.delete(thread);
    if (known.size > 0) this.#sessions.set(thread, known);
    if (this.#sessions.size <= MAX_SESSIONS) return;
    const [oldest] = this.#sessions.keys();
    this.#sessions.delete(oldest!);
  }
}
