import { STRING, INTEGER, type SqlType } from '../sql-type.ts';
import {
  argument,
  callError,
  type FunctionDefinition,
  scalarFunction,
  type Signature,
  signature,
  wrongCount,
} from './definition.ts';

const STRINGS: SqlType = { kind: 'ARRAY', element: STRING };
/** Padding asks for text that need not be there yet: bounded, so that one row cannot exhaust memory. */
const MAX_PADDED = 1_000_000;

export const STRING_FUNCTIONS: readonly FunctionDefinition[] = [
  {
    name: 'CONCAT',
    usage: 'CONCAT(text, text, …)',
    bind: (call) => {
      if (call.args.length < 2) throw wrongCount(call, 'CONCAT(text, text, …)');
      const runs = call.args.map((_, i) => argument(call, i, STRING).run);
      // NULLs are left out, as in ksqlDB.
      return {
        type: STRING,
        at: call.at,
        run: (frame) => {
          let text = '';
          for (const run of runs) text += (run(frame) ?? '') as string;
          return text;
        },
      };
    },
  },
  {
    name: 'CONCAT_WS',
    usage: 'CONCAT_WS(separator, text, …)',
    bind: (call) => {
      if (call.args.length < 2) throw wrongCount(call, 'CONCAT_WS(separator, text, …)');
      const separator = argument(call, 0, STRING).run;
      const runs = call.args.slice(1).map((_, i) => argument(call, i + 1, STRING).run);
      return {
        type: STRING,
        at: call.at,
        run: (frame) => {
          const between = separator(frame);
          if (between === null) return null;
          const texts: string[] = [];
          for (const run of runs) {
            const text = run(frame);
            if (text !== null) texts.push(text as string);
          }
          return texts.join(between as string);
        },
      };
    },
  },
  scalarFunction('INITCAP', 'INITCAP(text)', [
    signature(['STRING'], STRING, (text) =>
      text.toLowerCase().replaceAll(/(^|\s)(\S)/gu, (_, space: string, c: string) => space + c.toUpperCase()),
    ),
  ]),
  scalarFunction('INSTR', 'INSTR(text, part [, position [, occurrence]])', [
    signature(['STRING', 'STRING'], INTEGER, (text, part) => instr(text, part, 1, 1)),
    signature(['STRING', 'STRING', 'INTEGER'], INTEGER, (text, part, from) => instr(text, part, from, 1)),
    signature(['STRING', 'STRING', 'INTEGER', 'INTEGER'], INTEGER, instr),
  ]),
  scalarFunction('LCASE', 'LCASE(text)', [signature(['STRING'], STRING, (text) => text.toLowerCase())]),
  scalarFunction('UCASE', 'UCASE(text)', [signature(['STRING'], STRING, (text) => text.toUpperCase())]),
  scalarFunction('LEN', 'LEN(text)', [signature(['STRING'], INTEGER, (text) => text.length)]),
  scalarFunction('TRIM', 'TRIM(text)', [signature(['STRING'], STRING, (text) => text.trim())]),
  scalarFunction('LPAD', 'LPAD(text, length, padding)', [
    signature(['STRING', 'INTEGER', 'STRING'], STRING, (text, length, padding) =>
      padded(text, length, padding, (padding) => padding + text),
    ),
  ]),
  scalarFunction('RPAD', 'RPAD(text, length, padding)', [
    signature(['STRING', 'INTEGER', 'STRING'], STRING, (text, length, padding) =>
      padded(text, length, padding, (padding) => text + padding),
    ),
  ]),
  regularFunction('REGEXP_EXTRACT', 'REGEXP_EXTRACT(pattern, text [, group])', 0, [
    signature(['STRING', 'STRING'], STRING, (pattern, text) => extract(pattern, text, 0), 'pattern'),
    signature(['STRING', 'STRING', 'INTEGER'], STRING, extract, 'pattern'),
  ]),
  regularFunction('REGEXP_REPLACE', 'REGEXP_REPLACE(text, pattern, replacement)', 1, [
    signature(
      ['STRING', 'STRING', 'STRING'],
      STRING,
      (text, pattern, replacement) => {
        const compiled = regularExpression(pattern);
        return compiled === null ? undefined : text.replaceAll(compiled, replacement);
      },
      'pattern',
    ),
  ]),
  scalarFunction('REPLACE', 'REPLACE(text, old, new)', [
    signature(['STRING', 'STRING', 'STRING'], STRING, (text, old, by) =>
      old === '' ? text : text.split(old).join(by),
    ),
  ]),
  scalarFunction('SPLIT', 'SPLIT(text, separator)', [
    signature(['STRING', 'STRING'], STRINGS, (text, separator) =>
      separator === '' ? Array.from(text) : text.split(separator),
    ),
  ]),
  scalarFunction('SUBSTRING', 'SUBSTRING(text, position [, length])', [
    signature(['STRING', 'INTEGER'], STRING, (text, from) => text.slice(startOf(text, from))),
    signature(['STRING', 'INTEGER', 'INTEGER'], STRING, (text, from, length) => {
      const start = startOf(text, from);
      return text.slice(start, start + Math.max(0, length));
    }),
  ]),
];

/** Positions are from 1, negative from the end. */
function startOf(text: string, position: number): number {
  return position < 0
    ? Math.max(0, text.length + position)
    : Math.min(Math.max(0, position - 1), text.length);
}

/** 0 where it is not found; a negative position searches backwards from there. */
function instr(text: string, part: string, position: number, occurrence: number): number {
  if (position === 0 || occurrence < 1 || occurrence > text.length + 1) return 0;
  let at = position > 0 ? position - 2 : text.length + position + 1;
  for (let found = 0; found < occurrence; found++) {
    if (position < 0 && at === 0) return 0;
    at = position > 0 ? text.indexOf(part, at + 1) : text.lastIndexOf(part, at - 1);
    if (at < 0) return 0;
  }
  return at + 1;
}

function padded(
  text: string,
  length: number,
  padding: string,
  join: (padding: string) => string,
): string | null {
  if (length < 0 || length > MAX_PADDED || padding === '') return null;
  const missing = length - text.length;
  if (missing <= 0) return text.slice(0, length);
  return join(padding.repeat(Math.ceil(missing / padding.length)).slice(0, missing));
}

function extract(pattern: string, text: string, group: number): string | null | undefined {
  const compiled = regularExpression(pattern);
  if (compiled === null) return undefined;
  compiled.lastIndex = 0;
  return compiled.exec(text)?.[group] ?? null;
}

/** A pattern that stands in the statement, at `pattern` among the arguments, is checked with it. */
function regularFunction(
  name: string,
  usage: string,
  pattern: number,
  signatures: readonly Signature[],
): FunctionDefinition {
  const definition = scalarFunction(name, usage, signatures);
  return {
    ...definition,
    bind: (call) => {
      const written = call.args[pattern]?.literal;
      if (typeof written === 'string' && regularExpression(written) === null)
        throw callError(call, 'this is no regular expression as JavaScript has them', pattern);
      return definition.bind(call);
    },
  };
}

let lastPattern = '';
let lastExpression: RegExp | null = null;

/** Patterns are nearly always the same from row to row. Null for what is none. */
function regularExpression(pattern: string): RegExp | null {
  if (lastExpression !== null && pattern === lastPattern) return lastExpression;
  // As Java has it: flags of the whole pattern in front of it.
  const [flagged = '', flags = ''] = /^\(\?([ims]+)\)/.exec(pattern) ?? [];
  const compiled = compiledExpression(pattern.slice(flagged.length), `g${[...new Set(flags)].join('')}`);
  if (compiled === null) return null;
  lastPattern = pattern;
  lastExpression = compiled;
  return compiled;
}

/** With `u` classes such as \p{L} are known; without it letters may be escaped that need not be. */
function compiledExpression(pattern: string, flags: string): RegExp | null {
  for (const each of [`${flags}u`, flags]) {
    try {
      return new RegExp(pattern, each);
    } catch {
      // Perhaps the other way.
    }
  }
  return null;
}
