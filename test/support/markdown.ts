/** What tests look for in the documentation. */

export interface CodeBlock {
  /** What stands behind the opening fence: `sh`, `yaml`, `sql` … */
  readonly language: string;
  readonly text: string;
  /** Of the first line inside, from 1. */
  readonly line: number;
}

export function codeBlocks(page: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = page.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const fence = /^\s*```(\w*)/.exec(lines[at]!);
    if (fence === null) continue;
    const start = ++at;
    while (at < lines.length && !/^\s*```\s*$/.test(lines[at]!)) at++;
    blocks.push({ language: fence[1]!, text: lines.slice(start, at).join('\n'), line: start + 1 });
  }
  return blocks;
}

/** Where `#…` may lead to in a page, as the usual renderers make it of headings. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
