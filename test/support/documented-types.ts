/** The tables of docs/type-mapping/*.md. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DocumentedType {
  readonly section: string;
  readonly type: string;
  readonly example: string;
  readonly debezium: { readonly schema: string; readonly value: string };
  readonly safe: { readonly schema: string; readonly value: string };
}

export async function documentedTypes(source: 'postgres' | 'mysql'): Promise<readonly DocumentedType[]> {
  return parse(await readFile(join(import.meta.dirname, `../../docs/type-mapping/${source}.md`), 'utf8'));
}

function parse(markdown: string): readonly DocumentedType[] {
  const found: DocumentedType[] = [];
  let section = '';
  for (const line of markdown.split('\n')) {
    if (line.startsWith('## ')) section = line.slice(3);
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
    if (cells.length !== 8 || !cells[1]!.startsWith('`')) continue;
    const [type, example, schema, value, safeSchema, safeValue] = cells
      .slice(1, 7)
      .map((cell) => cell.slice(1, -1));
    found.push({
      section,
      type: type!,
      example: example!,
      debezium: { schema: schema!, value: value! },
      safe: { schema: safeSchema!, value: safeValue! },
    });
  }
  return found;
}

/** What walking all documented types through a pipeline gives, where all is as documented. */
export function documentedWalk(
  lines: readonly DocumentedType[],
  profile: 'debezium' | 'safe',
): readonly object[] {
  return lines.map((line) => ({
    type: line.type,
    example: line.example,
    schema: line[profile].schema,
    value: line[profile].value,
    streamedSchema: line[profile].schema,
    streamedValue: line[profile].value,
  }));
}
