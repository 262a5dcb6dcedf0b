import type { Value } from '../../../model/value.ts';
import { UNCHANGED } from '../../../model/value.ts';
import type { Piece } from '../redo/lob-texts.ts';
import { nationalText, type DecodeText } from '../types/character-sets.ts';
import { UnreadableValue } from '../types/unreadable-value.ts';

/** A hole is filled with blanks (zero bytes), but nobody's number makes memory of any size. */
const MOST_BLANKS = 64 * 1024 * 1024;

/**
 * The content of one LOB while a transaction writes into it, in characters or bytes. Where it is not known what
 * was there before, it becomes known with a write at its beginning or a cut to nothing, and else is unavailable.
 */
export class LobValue {
  readonly #binary: boolean;
  readonly #decode: DecodeText;
  #parts: Piece[] = [];
  #length = 0;
  /** Whether a part of a text is bytes still. */
  #undecoded = false;
  #state: 'known' | 'unknown' | 'unavailable';

  constructor(initial: Value, { binary, decode }: { readonly binary: boolean; readonly decode: DecodeText }) {
    this.#binary = binary;
    this.#decode = decode;
    this.#state = initial === UNCHANGED ? 'unknown' : 'known';
    if (typeof initial === 'string' || initial instanceof Uint8Array) this.#set(asPiece(initial));
  }

  write(data: Piece, length: number, offset: number): void {
    if (offset < 1) throw new UnreadableValue('a write into a LOB behind its beginning');
    if (this.#state === 'unknown') this.#state = offset === 1 ? 'known' : 'unavailable';
    if (this.#state === 'unavailable') return;
    const piece = this.#cut(data, length);
    // Places count characters.
    if (this.#undecoded) this.#set(this.#whole());
    if (offset - 1 - this.#length > MOST_BLANKS) {
      this.#state = 'unavailable';
      return;
    }
    if (offset - 1 > this.#length) this.#append(this.#blank(offset - 1 - this.#length));
    if (offset - 1 === this.#length) {
      this.#append(piece);
      return;
    }
    const whole = this.#whole();
    const head = slice(whole, 0, offset - 1);
    const tail = slice(whole, offset - 1 + piece.length, whole.length);
    this.#parts = [head, piece, tail];
    this.#length = head.length + piece.length + tail.length;
  }

  /** To the end of what is there. */
  append(data: Piece): void {
    if (this.#state === 'unknown') this.#state = 'known';
    if (!this.#binary && typeof data !== 'string') this.#undecoded = true;
    this.#append(data);
  }

  /** Everything before is gone. */
  restart(): void {
    this.#state = 'known';
    this.#undecoded = false;
    this.#parts = [];
    this.#length = 0;
  }

  trim(length: number): void {
    if (length === 0) this.restart();
    if (this.#undecoded) this.#set(this.#whole());
    if (this.#state === 'known' && length < this.#length) this.#set(slice(this.#whole(), 0, length));
  }

  erase(): void {
    this.#state = 'unavailable';
  }

  get value(): Value {
    return this.#state === 'known' ? this.#whole() : UNCHANGED;
  }

  #append(piece: Piece): void {
    if (piece.length === 0) return;
    this.#parts.push(piece);
    this.#length += piece.length;
  }

  #set(piece: Piece): void {
    this.#undecoded = false;
    this.#parts = [piece];
    this.#length = piece.length;
  }

  #whole(): Piece {
    if (this.#parts.length === 1) return this.#normal(this.#parts[0]!);
    if (this.#binary) {
      const whole = Buffer.concat(
        this.#parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
      );
      this.#parts = [whole];
      return whole;
    }
    // A character may be cut between two pieces of bytes: neighbours are decoded together.
    let text = '';
    for (let i = 0; i < this.#parts.length;) {
      const part = this.#parts[i]!;
      if (typeof part === 'string') {
        text += part;
        i++;
        continue;
      }
      const bytes: Buffer[] = [];
      for (; i < this.#parts.length; i++) {
        const next = this.#parts[i]!;
        if (typeof next === 'string') break;
        bytes.push(next);
      }
      text += this.#decode(Buffer.concat(bytes));
    }
    this.#set(text);
    return text;
  }

  #normal(piece: Piece): Piece {
    if (this.#binary) return typeof piece === 'string' ? Buffer.from(piece) : piece;
    return typeof piece === 'string' ? piece : this.#decode(piece);
  }

  /** Pieces are padded; `length` counts characters or bytes. Two bytes for each character are UTF-16. */
  #cut(data: Piece, length: number): Piece {
    if (typeof data === 'string') return data.slice(0, length);
    if (this.#binary) return data.subarray(0, length);
    if (data.length >= 2 * length) return nationalText(data.subarray(0, 2 * length));
    return this.#decode(data).slice(0, length);
  }

  #blank(length: number): Piece {
    return this.#binary ? Buffer.alloc(length) : ' '.repeat(length);
  }
}

function asPiece(value: string | Uint8Array): Piece {
  return typeof value === 'string' ? value : Buffer.from(value);
}

function slice(piece: Piece, from: number, to: number): Piece {
  return typeof piece === 'string' ? piece.slice(from, to) : piece.subarray(from, to);
}
