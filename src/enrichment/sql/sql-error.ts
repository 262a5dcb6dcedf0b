import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';

/** The text that offsets point into, and where it stands in what the user wrote. */
export interface SourceText {
  readonly text: string;
  /** Line and column of the text's first character, from 1. */
  readonly line: number;
  readonly column: number;
}

/** `line 3:8: …`; `offset` counts UTF-16 units from the text's beginning. */
export function sqlError(
  source: SourceText,
  offset: number,
  sentence: string,
  code: Code = 'enrich.statement-invalid',
): HeadwaterError {
  const { line, column } = placeOf(source, offset);
  return new HeadwaterError(code, `line ${line}:${column}: ${sentence}`, { details: { line, column } });
}

/** A statement that is understood, and that this version does not execute. */
export function notSupported(source: SourceText, offset: number, sentence: string): HeadwaterError {
  return sqlError(source, offset, sentence, 'enrich.not-supported');
}

export function placeOf(source: SourceText, offset: number): { line: number; column: number } {
  const before = source.text.slice(0, offset);
  const lines = before.split('\n');
  const last = lines.at(-1) ?? '';
  return lines.length === 1
    ? { line: source.line, column: source.column + last.length }
    : { line: source.line + lines.length - 1, column: last.length + 1 };
}
