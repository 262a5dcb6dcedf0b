import '../../buffer-slices.ts';

/**
 * GTID sets of MySQL: per source (`uuid`, from 8.3 on `uuid:tag`) the transaction numbers, as ascending intervals
 * that neither overlap nor touch, flat: [first, last + 1, first, last + 1, …]. Text as the server prints it:
 * `uuid:1-5:8,uuid:tag:1-3`; binary as Gtid_set::encode writes it into COM_BINLOG_DUMP_GTID and
 * Previous_gtids_log_event.
 */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d{1,16})(?:-(\d{1,16}))?$/;

/** Immutable. */
export class MysqlGtidSet {
  static readonly EMPTY = new MysqlGtidSet(new Map());
  readonly #sources: ReadonlyMap<string, readonly number[]>;
  #text: string | null = null;

  constructor(sources: ReadonlyMap<string, readonly number[]>) {
    this.#sources = sources;
  }

  get sources(): ReadonlyMap<string, readonly number[]> {
    return this.#sources;
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0;
  }

  /** Null where it is no GTID set. The empty text is the empty set. */
  static parse(text: string): MysqlGtidSet | null {
    const sources = new Map<string, number[]>();
    for (const part of text.split(',')) {
      const fields = part.replaceAll(/\s/g, '').toLowerCase().split(':');
      const uuid = fields[0] ?? '';
      if (fields.length === 1 && uuid === '') continue;
      if (!UUID.test(uuid) || fields.length < 2) return null;
      let source = uuid;
      for (const field of fields.slice(1)) {
        const match = INTERVAL.exec(field);
        if (match === null) {
          if (!TAG.test(field)) return null;
          source = `${uuid}:${field}`;
          continue;
        }
        const first = Number(match[1]);
        const last = Number(match[2] ?? match[1]);
        if (first < 1 || last < first || !Number.isSafeInteger(last + 1)) return null;
        let intervals = sources.get(source);
        if (intervals === undefined) sources.set(source, (intervals = []));
        intervals.push(first, last + 1);
      }
    }
    for (const [source, intervals] of sources) sources.set(source, normalised(intervals));
    return new MysqlGtidSet(sources);
  }

  has(source: string, number: number): boolean {
    const intervals = this.#sources.get(source);
    if (intervals === undefined) return false;
    for (let i = 0; i < intervals.length; i += 2) {
      if (number < intervals[i]!) return false;
      if (number < intervals[i + 1]!) return true;
    }
    return false;
  }

  contains(other: MysqlGtidSet): boolean {
    for (const [source, theirs] of other.#sources) {
      const ours = this.#sources.get(source);
      if (ours === undefined) return false;
      let i = 0;
      for (let k = 0; k < theirs.length; k += 2) {
        while (i < ours.length && ours[i + 1]! < theirs[k + 1]!) i += 2;
        if (i >= ours.length || ours[i]! > theirs[k]!) return false;
      }
    }
    return true;
  }

  /** What is in this set and not in the other. */
  minus(other: MysqlGtidSet): MysqlGtidSet {
    const sources = new Map<string, readonly number[]>();
    for (const [source, intervals] of this.#sources) {
      const left = subtract(intervals, other.#sources.get(source) ?? []);
      if (left.length > 0) sources.set(source, left);
    }
    return new MysqlGtidSet(sources);
  }

  toString(): string {
    this.#text ??= [...this.#sources.keys()]
      .sort()
      .map((source) => {
        const intervals = this.#sources.get(source)!;
        let text = source;
        for (let i = 0; i < intervals.length; i += 2) {
          const first = intervals[i]!;
          const last = intervals[i + 1]! - 1;
          text += last === first ? `:${first}` : `:${first}-${last}`;
        }
        return text;
      })
      .join(',');
    return this.#text;
  }

  encode(): Buffer {
    const names = [...this.#sources.keys()].sort();
    const tagged = names.some((name) => name.length > 36);
    const parts: Buffer[] = [Buffer.alloc(8)];
    const count = parts[0]!;
    count.writeUIntLE(names.length, tagged ? 1 : 0, 6);
    if (tagged) count[0] = count[7] = 1;
    for (const name of names) {
      const intervals = this.#sources.get(name)!;
      parts.push(Buffer.from(name.slice(0, 36).replaceAll('-', ''), 'hex'));
      const tag = Buffer.from(name.slice(37));
      // A variable-length integer of the serialization library: one byte below 128, shifted by one.
      if (tagged) parts.push(Buffer.from([tag.length << 1]), tag);
      const body = Buffer.alloc(8 + intervals.length * 8);
      writeUint64(body, intervals.length / 2, 0);
      intervals.forEach((bound, i) => writeUint64(body, bound, 8 + i * 8));
      parts.push(body);
    }
    return Buffer.concat(parts);
  }

  /** Null where the bytes are no GTID set. */
  static decode(bytes: Buffer): MysqlGtidSet | null {
    if (bytes.length < 8) return null;
    const tagged = bytes[7] === 1;
    let count = tagged ? bytes.readUIntLE(1, 6) : readUint64(bytes, 0);
    const sources = new Map<string, readonly number[]>();
    let at = 8;
    for (; count > 0; count--) {
      if (at + 16 > bytes.length) return null;
      let source = formatUuid(bytes, at);
      at += 16;
      if (tagged) {
        const length = (bytes[at] ?? 255) >> 1;
        if (length > 32 || at + 1 + length > bytes.length) return null;
        if (length > 0) source += `:${bytes.latin1Slice(at + 1, at + 1 + length)}`;
        at += 1 + length;
      }
      if (at + 8 > bytes.length) return null;
      const bounds = readUint64(bytes, at) * 2;
      at += 8;
      if (bounds * 8 > bytes.length - at) return null;
      const intervals: number[] = [];
      for (let i = 0; i < bounds; i++, at += 8) intervals.push(readUint64(bytes, at));
      if (intervals.length > 0) sources.set(source, normalised(intervals));
    }
    return new MysqlGtidSet(sources);
  }
}

/** A set that grows by one transaction after the other; cheap for the usual next number. */
export class GrowingMysqlGtidSet {
  readonly #sources = new Map<string, number[]>();
  #frozen: MysqlGtidSet | null = null;

  constructor(start: MysqlGtidSet) {
    for (const [source, intervals] of start.sources) this.#sources.set(source, [...intervals]);
    this.#frozen = start;
  }

  add(source: string, number: number): void {
    const intervals = this.#sources.get(source);
    if (intervals === undefined) {
      this.#sources.set(source, [number, number + 1]);
    } else if (intervals[intervals.length - 1] === number) {
      intervals[intervals.length - 1] = number + 1;
    } else {
      intervals.push(number, number + 1);
      this.#sources.set(source, normalised(intervals));
    }
    this.#frozen = null;
  }

  freeze(): MysqlGtidSet {
    return (this.#frozen ??= new MysqlGtidSet(
      new Map([...this.#sources].map(([source, intervals]) => [source, [...intervals]])),
    ));
  }
}

export function formatUuid(bytes: Buffer, at: number): string {
  const hex = bytes.hexSlice(at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function normalised(intervals: readonly number[]): number[] {
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i < intervals.length; i += 2) pairs.push([intervals[i]!, intervals[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [first, end] of pairs) {
    const last = out.length - 1;
    if (last >= 0 && first <= out[last]!) out[last] = Math.max(out[last]!, end);
    else out.push(first, end);
  }
  return out;
}

function subtract(from: readonly number[], what: readonly number[]): number[] {
  const out: number[] = [];
  let k = 0;
  for (let i = 0; i < from.length; i += 2) {
    let first = from[i]!;
    const end = from[i + 1]!;
    while (k < what.length && what[k + 1]! <= first) k += 2;
    for (let m = k; m < what.length && what[m]! < end; m += 2) {
      if (what[m]! > first) out.push(first, what[m]!);
      first = Math.max(first, what[m + 1]!);
    }
    if (first < end) out.push(first, end);
  }
  return out;
}

function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}

function writeUint64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}
