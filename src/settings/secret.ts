import { inspect } from 'node:util';

const MASK = '[secret]';
/** A shorter secret is replaced only where it stands alone: else `db` would be masked inside every word. */
const LONG_ENOUGH = 12;

/** Masking every `x` or `5432` would spoil lines, and JSON, without hiding much. */
const SHORTEST = 4;

const known = new Set<string>();
let pattern: RegExp | null = null;

/** A value that must not be printed: whatever turns it into text gets a mask. Only `reveal` gives it away. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    rememberSecret(value);
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** The text with every secret of this process masked: the last line of defence for logs and errors. */
export function redact(text: string): string {
  if (known.size === 0) return text;
  pattern ??= new RegExp(
    [...known]
      .sort((a, b) => b.length - a.length)
      .map(alternative)
      .join('|'),
    'g',
  );
  return text.replace(pattern, MASK);
}

/** Masks it from now on, though nothing here holds it. */
export function rememberSecret(value: string): void {
  if (value.trim().length < SHORTEST || /^\d{1,7}$/.test(value)) return;
  const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)];
  // A library that complains about a key in PEM form prints at most a line of it.
  if (value.includes('\n')) forms.push(...value.split('\n').filter((line) => line.length >= LONG_ENOUGH));
  for (const form of forms) {
    if (/^-----(BEGIN|END) /.test(form) && !form.includes('\n')) continue;
    known.add(form);
  }
  pattern = null;
}

function alternative(secret: string): string {
  const literal = secret.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  return secret.length >= LONG_ENOUGH ? literal : `(?<![A-Za-z0-9_])${literal}(?![A-Za-z0-9_])`;
}
