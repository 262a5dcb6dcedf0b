/**
 * hstore output (`"a"=>"1", "b"=>NULL`) → JSON text. The server sorts keys its own way; Debezium puts them into
 * a java.util.HashMap, and what order comes out of that is what consumers of its topics have seen, so we give
 * the same: by bucket, in the server's order within a bucket.
 */
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
  const token = /"((?:[^"\\]|\\[\s\S])*)"=>(?:"((?:[^"\\]|\\[\s\S])*)"|NULL)(?:, |$)/y;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match === null) throw unreadableValue('hstore');
    pairs.push([unescape(match[1] ?? ''), match[2] === undefined ? null : unescape(match[2])]);
  }
  if (text.endsWith(', ')) throw unreadableValue('hstore');
  return pairs;
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
