/** Errors as ksqlDB's clients know them: the HTTP status is the code divided by 100. */
import { asHeadwaterError, type HeadwaterError } from '../../errors/headwater-error.ts';

/** An answer that says what was wrong, with ksqlDB's number for it. */
export class SqlApiError extends Error {
  readonly code: number;

  /** The message is for the client. */
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ErrorBody {
  readonly '@type': 'generic_error' | 'statement_error';
  readonly error_code: number;
  readonly message: string;
  readonly statementText?: string;
  readonly entities?: readonly object[];
}

/** `statement`: the one that was being looked at; `entities`: the results of those before it. */
export function errorBody(
  thrown: unknown,
  statement: string | null = null,
  entities: readonly object[] = [],
): ErrorBody {
  const [code, message] =
    thrown instanceof SqlApiError ? [thrown.code, thrown.message] : coded(asHeadwaterError(thrown));
  if (statement === null || code < 40001 || code > 40002)
    return { '@type': 'generic_error', error_code: code, message };
  return { '@type': 'statement_error', error_code: code, message, statementText: statement, entities };
}

function coded(error: HeadwaterError): readonly [number, string] {
  const code = codeOf(error);
  // What nobody foresaw may name what is nobody's business.
  return [code, code === 50000 ? 'An internal error; the log of the daemon has more.' : error.message];
}

function codeOf({ code }: HeadwaterError): number {
  switch (code) {
    case 'enrich.statement-invalid':
    case 'enrich.not-supported':
    case 'delivery.topic-missing':
    case 'delivery.topic-invalid':
    case 'delivery.topic-refused':
      return 40001;
    case 'delivery.topic-denied':
    case 'delivery.cluster-denied':
      return 40301;
    case 'enrich.no-registry':
      return 42801;
    case 'query.too-many':
      return 40003;
    case 'query.cut-off':
      return 42900;
    case 'delivery.unreachable':
    case 'query.not-ready':
    case 'query.not-running':
    case 'request.not-running':
      return 50302;
    case 'query.ended':
      return 50303;
    default:
      return 50000;
  }
}

export function statusOf(body: ErrorBody): number {
  return Math.floor(body.error_code / 100);
}
