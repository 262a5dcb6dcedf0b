/** PRINT: lines of text, one a record (docs/sql-api.md). */
import { printTopic } from '../../enrichment/queries/print-topic.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { Statement } from '../../enrichment/sql/ast.ts';
import { errorBody, SqlApiError } from './api-error.ts';
import { head, type SqlExchange } from './exchange.ts';
import { send } from './query-response.ts';

export interface PrintContext {
  readonly desk: QueryDesk;
  readonly signal: AbortSignal;
  /** Of the response. */
  readonly type: string;
}

/** Writes until the client goes away. Throws where the topic cannot be read, as long as nothing has been written. */
export async function writePrinted(
  exchange: SqlExchange,
  statement: Extract<Statement, { readonly kind: 'print' }>,
  { desk, signal, type }: PrintContext,
): Promise<void> {
  const { response } = exchange;
  const access = [...desk.running.values()].flatMap(({ basis }) => basis.access ?? [])[0];
  if (access === undefined)
    throw new SqlApiError(
      40001,
      'No pipeline with statements that runs here writes to Kafka: there are no topics.',
    );
  await using reader = await access.openReader(true);
  const lines = printTopic(reader, statement, signal);
  let begun = false;
  try {
    for await (const line of lines) {
      if (!begun) head(exchange, 200, { 'content-type': type });
      begun = true;
      // A blank line tells an idle connection from a dead one.
      await send(response, line ?? '\n');
      if (response.destroyed) return;
    }
  } catch (error) {
    if (!begun) throw error;
    await send(response, `${JSON.stringify(errorBody(error))}\n`);
  }
  response.end();
}
