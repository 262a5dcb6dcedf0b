import {
  type Document,
  isMap,
  isNode,
  isPair,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
} from 'yaml';
import type { Code } from '../errors/catalogue.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';

export type Path = readonly (string | number)[];

/** One thing wrong with a file. Sentences name keys and never hold values. */
export interface Problem {
  readonly code: Code;
  readonly path: Path;
  readonly sentence: string;
  /** Point at the key itself instead of at its value. */
  readonly atKey?: boolean;
  readonly fix?: string;
}

/** A YAML file that knows on which line each of its keys stands, and collects what is wrong with it. */
export class SettingsDocument {
  readonly file: string;
  /** What YAML says, references not yet followed. Undefined where the file isn't well-formed. */
  readonly value: unknown;
  readonly problems: Problem[] = [];
  readonly #document: Document;
  readonly #lines = new LineCounter();
  readonly #syntax: readonly YAMLError[];

  constructor(file: string, text: string) {
    this.file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, merge: true });
    const { errors, warnings } = this.#document;
    this.#syntax = [...errors, ...warnings.filter((warning) => warning.code === 'TAG_RESOLVE_FAILED')];
    this.value = this.#syntax.length > 0 ? undefined : this.#toValue();
  }

  #toValue(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: 100 }) as unknown;
    } catch {
      // Only aliases can fail here: to an anchor that does not exist, or too many of them.
      this.problem('settings.invalid', [], 'an alias (*name) leads nowhere or to too much');
      return undefined;
    }
  }

  get wellFormed(): boolean {
    return this.value !== undefined;
  }

  has(path: Path): boolean {
    return this.#document.hasIn(path);
  }

  problem(code: Code, path: Path, sentence: string, options: { atKey?: boolean; fix?: string } = {}): void {
    this.problems.push({ code, path, sentence, ...options });
  }

  /** Everything that is wrong, in the order of the lines. */
  errors(): readonly HeadwaterError[] {
    const [first] = this.#syntax;
    // After the first slip a parser sees slips everywhere.
    if (first !== undefined) return [this.#error('settings.invalid', syntaxSentence(first), first.pos[0])];
    return this.problems
      .map((problem) => ({ problem, offset: this.#offset(problem) }))
      .sort((a, b) => a.offset - b.offset)
      .map(({ problem, offset }) =>
        this.#error(problem.code, problem.sentence, offset, keyName(problem.path), problem.fix),
      );
  }

  #error(code: Code, sentence: string, offset: number, key?: string, fix?: string): HeadwaterError {
    const { line, col } = this.#lines.linePos(offset);
    const at = Math.max(1, line);
    return new HeadwaterError(code, `${this.file}:${at}: ${sentence}`, {
      fix,
      details: {
        file: this.file,
        line: at,
        column: Math.max(1, col),
        ...(key === undefined || key === '' ? {} : { key }),
      },
    });
  }

  /** Where the path stands in the text, or the nearest thing around it that does. */
  #offset({ path, atKey }: Problem): number {
    let node: unknown = this.#document.contents;
    let offset = start(node);
    for (const [depth, step] of path.entries()) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && keyText(item.key) === String(step));
        if (pair === undefined) return offset;
        offset = start(pair.key) || offset;
        node = pair.value;
        if (depth === path.length - 1 && atKey === true) return offset;
      } else if (isSeq(node) && typeof step === 'number') {
        node = node.items[step];
        offset = start(node) || offset;
      } else {
        return offset;
      }
    }
    // A block's problem is best shown at its key, a scalar's too unless it begins on a later line.
    return isMap(node) || isSeq(node) ? offset : start(node) || offset;
  }
}

function start(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function keyText(key: unknown): string {
  return isNode(key) && 'value' in key ? String(key.value) : String(key);
}

/** `emit.kafka.brokers[0]`, `tables["public.orders"].key` */
export function keyName(path: Path): string {
  let name = '';
  for (const step of path) {
    if (typeof step === 'number') name += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) name += `[${JSON.stringify(step)}]`;
    else name += name === '' ? step : `.${step}`;
  }
  return name;
}

/** Sentences of our own, because the library's quote what stands in the file. */
function syntaxSentence({ code }: YAMLError): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key stands twice in the same block';
    case 'TAB_AS_INDENT':
      return 'YAML is indented with spaces, and here is a tab';
    case 'BAD_INDENT':
      return 'the indentation does not fit the lines above, or a bracket there is left open';
    case 'MULTIPLE_DOCS':
      return 'one file holds one pipeline: a second document begins here';
    case 'TAG_RESOLVE_FAILED':
      return 'a value that begins with ! has to stand in quotes';
    case 'BAD_ALIAS':
      return 'a value that begins with * or & has to stand in quotes';
    case 'BAD_SCALAR_START':
      return 'a value that begins with a sign such as @, ` or % has to stand in quotes';
    case 'MISSING_CHAR':
      return 'a closing quote, bracket or a colon is missing';
    case 'MULTILINE_IMPLICIT_KEY':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'this is not well-formed YAML: a key needs a colon and a space, and a value with ": " needs quotes';
    default:
      return 'this is not well-formed YAML';
  }
}
