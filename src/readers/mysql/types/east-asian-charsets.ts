/**
 * Tables of the character sets of two bytes a character: the Encoding Standard's (TextDecoder), put right where
 * MySQL's differ. Bytes are told apart here and not by TextDecoder, whose Shift_JIS swaps control characters.
 */

/** Code units by the two bytes, 0 where there is none. */
export type PairTable = Uint16Array;

/** No byte of a pair, and nothing that an encoding changes. */
const SEPARATOR = 0x1e;

/** `hex:characters`, for the pair and those that follow it. */
const BIG5 = `
a145:• a14e:､ a15a:\ufffd a1c2:‾\ufffd a1c5:\ufffd a1e3:∼ a1f2:♁☉ a1fe:\ufffd a240:\ufffd／＼ a244:¥ a246:¢£
a2cc:\ufffd a2ce:\ufffd
c6a1:ヾゝゞ々ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをんァアィイゥウェ
c740:エォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユ
c7a1:ョヨラリルレロヮワヰヱヲンヴヵヶДЕЁЖЗИЙКЛМУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя①②③④⑤⑥⑦⑧⑨⑩⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽`;
const GB2312 = 'a1a4:・ a1aa:―';
const GB18030 =
  'a3a0:\ue5e5 a6d9:\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793 a6ec:\ue794\ue795 a6f3:\ue796 fe59:\ue81e fe61:\ue826 fe66:\ue82b\ue82c fe6d:\ue832 fe7e:\ue843 fe90:\ue854 fea0:\ue864';
const SJIS = '815f:\\〜‖ 817c:− 8191:¢£ 81ca:¬';
const EUCKR = 'a2e6:€®';
const UJIS = 'a1c0:\\〜‖ a1dd:− a1f1:¢£ a2cc:¬';
const UJIS_3 = 'a2b7:~';
// Compatibility ideographs are escaped: editors like to make them the characters that they stand for.
const EUCJPMS_3 =
  'a2c3:￤ f3f3:ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ f4a1:ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤\ufa0e咊坙\ufa0f\ufa10增寬峵嵓\ufa11德悅愠敎昻晥\ufa12\uf929栁\ufa13\ufa14橫櫢淸淲瀨\ufa15\ufa16甁皂皞\ufa17礰\ufa18\ufa19\ufa1a\ufa1b竧\ufa1c\ufa1d綠緖\ufa1e荢\ufa1f薰\ufa20\ufa21蠇\ufa22譿賴赶\ufa23\ufa24\ufa25郞\ufa26鄕\ufa27\ufa28閒\uf9dc\ufa29霻靍靑\ufa2a\ufa2b\ufa2c馞髙魲\ufa2d黑';

/** Where users' own characters begin in EUC-JP: ten rows of 94, with and without the prefix 0x8f. */
const EUCJP_USER = { row: 0xf5, code: 0xe000 };
const EUCJP_USER_3 = { row: 0xf5, code: 0xe3ac };

export const PAIR_TABLES: Readonly<Record<string, () => PairTable>> = {
  big5: () => patched(standard('big5'), BIG5),
  euckr: () => withUnifiedHangul(patched(standard('euc-kr'), EUCKR)),
  gb2312: () => patched(standard('gbk'), GB2312),
  gbk: () => standard('gbk'),
  gb18030: () => patched(standard('gb18030'), GB18030),
  sjis: () => patched(standard('shift_jis'), SJIS),
  cp932: () => standard('shift_jis'),
  ujis: () => withUserRows(patched(standard('euc-jp'), UJIS), EUCJP_USER),
  eucjpms: () => withUserRows(standard('euc-jp'), EUCJP_USER),
};

/** The pairs behind 0x8f. */
export const PREFIXED_TABLES: Readonly<Record<string, () => PairTable>> = {
  ujis: () => withUserRows(patched(standard('euc-jp', [0x8f]), UJIS_3), EUCJP_USER_3),
  eucjpms: () => withUserRows(patched(standard('euc-jp', [0x8f]), EUCJPMS_3), EUCJP_USER_3),
};

/** Of what TextDecoder makes more or other than one character is left out. */
function standard(label: string, prefix: readonly number[] = []): PairTable {
  const pairs: number[] = [];
  const bytes: number[] = [];
  for (let lead = 0x81; lead < 0xff; lead++) {
    for (let trail = 0x40; trail < 0xff; trail++) {
      pairs.push((lead << 8) | trail);
      bytes.push(...prefix, lead, trail, SEPARATOR);
    }
  }
  const characters = new TextDecoder(label)
    .decode(Uint8Array.from(bytes))
    .split(String.fromCharCode(SEPARATOR));
  const table: PairTable = new Uint16Array(0x10000);
  pairs.forEach((pair, i) => {
    const character = characters[i] ?? '';
    if (character.length === 1 && character !== '\ufffd') table[pair] = character.charCodeAt(0);
  });
  return table;
}

function patched(table: PairTable, patches: string): PairTable {
  for (const patch of patches.trim().split(/[ \n]/)) {
    const first = Number.parseInt(patch.slice(0, 4), 16);
    for (let i = 5; i < patch.length; i++) table[first + i - 5] = patch.charCodeAt(i);
  }
  return table;
}

function withUserRows(table: PairTable, { row, code }: typeof EUCJP_USER): PairTable {
  for (let i = 0; i < 940; i++) table[((row + Math.floor(i / 94)) << 8) + 0xa1 + (i % 94)] = code + i;
  return table;
}

/** Unified Hangul Code: the syllables that KS X 1001 lacks, in order, in the pairs that EUC-KR leaves free. */
function withUnifiedHangul(table: PairTable): PairTable {
  const known = new Set(table);
  let syllable = 0xac00;
  for (let lead = 0x81; lead <= 0xc6; lead++) {
    for (let trail = 0x41; trail <= (lead > 0xa0 ? 0xa0 : 0xfe); trail++) {
      if ((trail > 0x5a && trail < 0x61) || (trail > 0x7a && trail < 0x81)) continue;
      while (known.has(syllable)) syllable++;
      if (syllable > 0xd7a3) return table;
      table[(lead << 8) + trail] = syllable++;
    }
  }
  return table;
}
