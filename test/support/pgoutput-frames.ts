/** Replication messages made by hand, for streams that no server has to be asked for. */

/** XLogData around a message at `lsn`. */
function frame(lsn: number, message: Buffer): Buffer {
  const header = Buffer.alloc(25);
  header[0] = 0x77;
  header.writeBigUInt64BE(BigInt(lsn), 1);
  header.writeBigUInt64BE(BigInt(lsn), 9);
  return Buffer.concat([header, message]);
}

export function begin(commitLsn: number, xid: number, lsn: number): Buffer {
  const message = Buffer.alloc(21);
  message[0] = 0x42;
  message.writeBigUInt64BE(BigInt(commitLsn), 1);
  message.writeUInt32BE(xid, 17);
  return frame(lsn, message);
}

export function commit(commitLsn: number, endLsn: number): Buffer {
  const message = Buffer.alloc(26);
  message[0] = 0x43;
  message.writeBigUInt64BE(BigInt(commitLsn), 2);
  message.writeBigUInt64BE(BigInt(endLsn), 10);
  return frame(commitLsn, message);
}

/** A table in `public`, REPLICA IDENTITY DEFAULT, whose first column is its key. */
export function relation(
  oid: number,
  table: string,
  columns: readonly string[],
  types: readonly number[],
): Buffer {
  const parts = columns.map((name, i) => {
    const tail = Buffer.alloc(8);
    tail.writeUInt32BE(types[i]!, 0);
    tail.writeInt32BE(-1, 4);
    return Buffer.concat([Buffer.from([i === 0 ? 1 : 0]), Buffer.from(`${name}\0`), tail]);
  });
  const head = Buffer.alloc(5);
  head[0] = 0x52;
  head.writeUInt32BE(oid, 1);
  const count = Buffer.alloc(2);
  count.writeUInt16BE(columns.length);
  return frame(0, Buffer.concat([head, Buffer.from(`public\0${table}\0d`), count, ...parts]));
}

export function insert(oid: number, values: readonly string[], lsn: number): Buffer {
  return frame(lsn, Buffer.concat([rowHead(0x49, oid), Buffer.from('N'), tuple(values)]));
}

/** An UPDATE with both whole rows, as under REPLICA IDENTITY FULL. */
export function updateOf(
  oid: number,
  { old, now }: { readonly old: readonly string[]; readonly now: readonly string[] },
  lsn: number,
): Buffer {
  return frame(
    lsn,
    Buffer.concat([rowHead(0x55, oid), Buffer.from('O'), tuple(old), Buffer.from('N'), tuple(now)]),
  );
}

/** A transactional logical message. */
export function logicalMessage(prefix: string, content: string, lsn: number): Buffer {
  const head = Buffer.alloc(10);
  head[0] = 0x4d;
  head[1] = 1;
  head.writeBigUInt64BE(BigInt(lsn), 2);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return frame(lsn, Buffer.concat([head, Buffer.from(`${prefix}\0`), length, Buffer.from(content)]));
}

function rowHead(type: number, oid: number): Buffer {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeUInt32BE(oid, 1);
  return head;
}

function tuple(values: readonly string[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16BE(values.length);
  const cells = values.map((value) => {
    const text = Buffer.from(value);
    const head = Buffer.alloc(5);
    head[0] = 0x74;
    head.writeUInt32BE(text.length, 1);
    return Buffer.concat([head, text]);
  });
  return Buffer.concat([count, ...cells]);
}
