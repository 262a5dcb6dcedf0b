import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { UnreadableValue } from './unreadable-value.ts';

export type DecodeText = (bytes: Uint8Array) => string;

/** Oracle's names of character sets → WHATWG's, where Node's TextDecoder has them byte for byte. */
const ENCODINGS: ReadonlyMap<string, string> = new Map([
  ['AL32UTF8', 'utf-8'],
  ['UTF8', 'utf-8'],
  ['US7ASCII', 'utf-8'],
  ['WE8MSWIN1252', 'windows-1252'],
  ['WE8ISO8859P15', 'iso-8859-15'],
  ['EE8ISO8859P2', 'iso-8859-2'],
  ['EE8MSWIN1250', 'windows-1250'],
  ['CL8MSWIN1251', 'windows-1251'],
  ['CL8ISO8859P5', 'iso-8859-5'],
  ['CL8KOI8R', 'koi8-r'],
  ['EL8MSWIN1253', 'windows-1253'],
  ['TR8MSWIN1254', 'windows-1254'],
  ['BLT8MSWIN1257', 'windows-1257'],
  ['JA16SJIS', 'shift_jis'],
  ['JA16EUC', 'euc-jp'],
  ['ZHS16GBK', 'gbk'],
  ['ZHT16BIG5', 'big5'],
  ['KO16MSWIN949', 'euc-kr'],
]);

/** Whether text that LogMiner shows as bytes can be read. */
export function isDecodable(characterSet: string): boolean {
  return characterSet === 'WE8ISO8859P1' || ENCODINGS.has(characterSet);
}

/**
 * For character data that the redo log shows as bytes of the database's character set. A set that Node does not
 * have is no error before such a value comes.
 */
export function textDecoder(characterSet: string): DecodeText {
  // windows-1252 would be another set: it has letters where ISO 8859-1 has control characters.
  if (characterSet === 'WE8ISO8859P1') {
    return (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  }
  const encoding = ENCODINGS.get(characterSet);
  if (encoding === undefined) {
    return () => {
      throw new HeadwaterError(
        'source.redo-unreadable',
        `The redo log holds bytes of the character set ${characterSet}, which Headwater cannot decode.`,
        { details: { characterSet } },
      );
    };
  }
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  return (bytes) => {
    try {
      return decoder.decode(bytes);
    } catch {
      throw new UnreadableValue(`text in ${characterSet}`);
    }
  };
}

/** AL16UTF16, the only national character set that thin mode speaks. */
export function nationalText(bytes: Uint8Array): string {
  if (bytes.length % 2 !== 0) throw new UnreadableValue('UTF-16');
  return Buffer.from(bytes).swap16().toString('utf16le');
}
