/** The rows of a query in the three forms that ksqlDB's clients read. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { RunningSelect } from '../../enrichment/queries/live-queries.ts';
import type { ResultRow } from '../../enrichment/queries/result-rows.ts';
import { typeText } from '../../enrichment/sql/sql-type.ts';
import { errorBody } from './api-error.ts';
import { DELIMITED, head, JSON_TYPE, type SqlExchange, V1 } from './exchange.ts';

export type QueryForm = typeof V1 | typeof DELIMITED | typeof JSON_TYPE;

export interface QueryAnswer {
  readonly id: string;
  readonly running: RunningSelect;
  readonly form: QueryForm;
  /** Of the response. */
  readonly contentType: string;
}

/** Whoever has gone away is noticed by this. */
const IDLE_MS = 1_000;

interface Form {
  begin(): string;
  row(row: ResultRow): string | null;
  /** What ends the body: `last` is why a query that could have gone on has ended. */
  end(last: string | HeadwaterError | null): string;
  /** Whether clients parse each piece that arrives by itself. */
  readonly pieces: boolean;
  readonly idle: string | null;
}

/** Writes until the query ends or the client is gone; the response is at its end then. */
export async function writeQuery(exchange: SqlExchange, answer: QueryAnswer): Promise<void> {
  const { response } = exchange;
  const { running, contentType } = answer;
  const form = formOf(answer);
  head(exchange, 200, { 'content-type': contentType });
  const idle =
    form.idle === null
      ? null
      : setInterval(() => {
          if (!response.writableNeedDrain) write(response, form.idle ?? '');
        }, IDLE_MS);
  try {
    await send(response, form.begin());
    for await (const rows of running.rows()) {
      const texts = rows.flatMap((row) => form.row(row) ?? []);
      if (form.pieces) for (const text of texts) await flush(response, text);
      else await send(response, texts.join(''));
      if (response.destroyed) return;
    }
    write(response, form.end(lastWord(running)));
  } finally {
    if (idle !== null) clearInterval(idle);
    running.close();
    response.end();
  }
}

function lastWord({ plan, end }: RunningSelect): string | HeadwaterError | null {
  if (plan.kind === 'pull') return null;
  if (end instanceof HeadwaterError) return end;
  return end === 'limit' ? 'Limit Reached' : 'Query Closed';
}

function formOf({ id, running, form }: QueryAnswer): Form {
  const { plan } = running;
  const { columns, kind } = plan;
  switch (form) {
    case V1: {
      const keyed = kind === 'pull';
      const schema = columns
        .map(
          ({ name, type, key }) => `${quoted(name)} ${typeText(type, quoted)}${keyed && key ? ' KEY' : ''}`,
        )
        .join(', ');
      const head = `[${JSON.stringify({ header: { queryId: id, schema } })}`;
      const piece = ({ text, tombstone }: ResultRow): string =>
        `{"row":{"columns":${text}${tombstone ? ',"tombstone":true' : ''}}}`;
      // A push query always has a last piece, so that each row is a line of its own at once.
      if (kind === 'push')
        return {
          pieces: false,
          idle: '\n',
          begin: () => `${head},\n`,
          row: (row) => `${piece(row)},\n`,
          end: (last) =>
            `${JSON.stringify(typeof last === 'string' ? { finalMessage: last } : { errorMessage: errorBody(last) })}]\n`,
        };
      return {
        pieces: false,
        idle: null,
        begin: () => head,
        row: (row) => `,\n${piece(row)}`,
        end: () => ']\n',
      };
    }
    case DELIMITED:
      return {
        pieces: kind === 'push',
        idle: null,
        begin: () => `${metadata(id, running)}\n`,
        row: ({ text, tombstone }) => (tombstone ? null : `${text}\n`),
        end: (last) => (last instanceof HeadwaterError ? `${JSON.stringify(errorBody(last))}\n` : ''),
      };
    case JSON_TYPE:
      return {
        pieces: false,
        idle: null,
        begin: () => `[${metadata(id, running)}`,
        row: ({ text, tombstone }) => (tombstone ? null : `,\n${text}`),
        end: (last) => (last instanceof HeadwaterError ? `,\n${JSON.stringify(errorBody(last))}]\n` : ']\n'),
      };
  }
}

function metadata(queryId: string, { plan }: RunningSelect): string {
  const { columns } = plan;
  return JSON.stringify({
    queryId,
    columnNames: columns.map(({ name }) => name),
    columnTypes: columns.map(({ type }) => typeText(type, quoted)),
  });
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

type Response = SqlExchange['response'];

/** The two kinds of response have the method, not its signature, in common. */
function write(response: Response, text: string, done?: () => void): boolean {
  if (response.destroyed || text === '') {
    done?.();
    return true;
  }
  return 'stream' in response ? response.write(text, 'utf8', done) : response.write(text, 'utf8', done);
}

/** Waits where the client does not keep up, until it does or is gone. */
export async function send(response: Response, text: string): Promise<void> {
  if (write(response, text)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

/** In a frame of its own. */
async function flush(response: Response, text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    write(response, text, () => {
      response.off('close', resolve);
      resolve();
    });
  });
}
