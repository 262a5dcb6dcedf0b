/**
 * hstore output (`"a"=>"1", "b"=>NULL`) → JSON text. The server sorts keys its own way; Debezium puts them into
 * a java.util.HashMap, and what order comes out of that is what consumers of its topics have seen, so we give
 * the same: by bucket, in the server's order within a bucket.
 */
import { endOfQuoted } from '../../quoted-text.ts';
import { unreadableValue } from '../../unreadable-value.ts';

export function decodeHstore(text: string): string {
  const pairs = readPairs(text);
  let capacity = 16;
  while (pairs.length > capacity * 0.75) capacity *= 2;
  const ordered = pairs.map((pair) => ({ pair, bucket: spread(javaHash(pair[0])) & (capacity - 1) }));
  ordered.sort((a, b) => a.bucket - b.bucket);
  return `{${ordered.map(({ pair }) => `${JSON.stringify(pair[0])}:${JSON.stringify(pair[1])}`).join(',')}}`;
}

function readPairs(text: string): (readonly [string, string | null])[] {
  const pairs: (readonly [string, string | null])[] = [];
  for (let at = 0; at < text.length;) {
    const keyEnd = endOfText(text, at);
    if (!text.startsWith('=>', keyEnd)) throw unreadableValue('hstore');
    let value: string | null = null;
    const from = keyEnd + 2;
    let end = from + 4;
    if (!text.startsWith('NULL', from)) {
      end = endOfText(text, from);
      value = unescape(text.slice(from + 1, end - 1));
    }
    pairs.push([unescape(text.slice(at + 1, keyEnd - 1)), value]);
    if (end === text.length) break;
    if (!text.startsWith(', ', end) || end + 2 === text.length) throw unreadableValue('hstore');
    at = end + 2;
  }
  return pairs;
}

/** Behind the closing quote of what begins there. */
function endOfText(text: string, from: number): number {
  const end = text.charCodeAt(from) === 34 ? endOfQuoted(text, from) : -1;
  if (end < 0) throw unreadableValue('hstore');
  return end + 1;
}

function unescape(text: string): string {
  return text.includes('\\') ? text.replaceAll(/\\([\s\S])/g, '$1') : text;
}

/** String.hashCode. */
function javaHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0;
  return hash;
}

/** HashMap.hash. */
function spread(hash: number): number {
  return hash ^ (hash >>> 16);
}
