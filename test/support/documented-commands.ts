/** What the documentation shows to be typed. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { codeBlocks } from './markdown.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['.', 'docs', 'docs/type-mapping', 'docs/decisions', 'docs/examples/search'];

export interface Typed {
  readonly page: string;
  readonly line: string;
}

/** All pages, by path from the root. */
export async function documentation(): Promise<ReadonlyMap<string, string>> {
  const pages = await Promise.all(
    FOLDERS.map(async (folder) =>
      (await readdir(join(ROOT, folder)))
        .filter((name) => name.endsWith('.md'))
        .map((name) => join(folder, name)),
    ),
  );
  return new Map(
    await Promise.all(
      pages.flat().map(async (page) => [page, await readFile(join(ROOT, page), 'utf8')] as const),
    ),
  );
}

/** Without what speaks of what was, and may be outdated. */
export function currentPages(texts: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  return [...texts].filter(([page]) => !page.startsWith('docs/decisions/') && page !== 'CHANGELOG.md');
}

/** Each line of the blocks for a shell, without its comment; what a backslash or a quotation continues is one. */
function shellLines(pages: readonly (readonly [string, string])[]): readonly Typed[] {
  return pages.flatMap(([page, text]) =>
    codeBlocks(text)
      .filter(({ language }) => language === 'sh')
      .flatMap((block) => wholeLines(block.text))
      .map((line) => ({ page, line: line.replace(/\s#\s.*$/, '').trim() }))
      .filter(({ line }) => line !== '' && !line.startsWith('#')),
  );
}

/** Commands of other programs, in blocks for a shell and within sentences. */
export function otherCommands(pages: readonly (readonly [string, string])[]): readonly Typed[] {
  const inline = pages.flatMap(([page, text]) =>
    [
      ...text
        .replaceAll(/^```[\s\S]*?^```/gm, '')
        .matchAll(/`((?:curl|docker|kubectl|npm|openssl|sql-client\.sh|systemctl|systemd-\w+) [^`]+)`/g),
    ].map(([, line]) => ({ page, line: line!.replaceAll(/\s+/g, ' ') })),
  );
  return [...shellLines(pages), ...inline].filter(
    ({ line }) => !/^(?:[A-Z_]+=\S+ )*(?:headwater|npm run headwater) /.test(line),
  );
}

function wholeLines(text: string): readonly string[] {
  const lines: string[] = [];
  let open = '';
  for (const line of text.replaceAll(/\\\n\s*/g, ' ').split('\n')) {
    open = open === '' ? line : `${open}\n${line}`;
    if ((open.replaceAll("'\\''", '').match(/'/g)?.length ?? 0) % 2 === 1) continue;
    lines.push(open);
    open = '';
  }
  return open === '' ? lines : [...lines, open];
}

/** Commands of Headwater in those blocks and within sentences, each by itself where several are joined by a pipe. */
export function headwaterCommands(pages: readonly (readonly [string, string])[]): readonly Typed[] {
  const inline = pages.flatMap(([page, text]) =>
    [
      ...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`((?:npm run headwater --|headwater) [^`]+)`/g),
    ].map(([, line]) => ({ page, line: line!.replaceAll(/\s+/g, ' ') })),
  );
  return [...shellLines(pages), ...inline]
    .map(({ page, line }) => ({ page, line: line.replace(/^npm run headwater --/, 'headwater') }))
    .filter(({ line }) => /^(?:[A-Z_]+=\S+ )*headwater /.test(line));
}
