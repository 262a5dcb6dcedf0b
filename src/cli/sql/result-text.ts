/** What the SQL interface answers, for people. */

/** The items of a JSON array, each as the text that it is: so no digit of a number is lost. */
export function itemsOf(array: string): readonly string[] {
  const items: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 1;
  for (let i = 1; i < array.length; i++) {
    const c = array[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '[' || c === '{') depth++;
    else if ((c === ',' || c === ']') && depth === 0) {
      const item = array.slice(start, i).trim();
      if (item !== '') items.push(item);
      start = i + 1;
    } else if (c === ']' || c === '}') depth--;
  }
  return items;
}

/** A JSON object of the row, by the names of its columns. */
export function objectText(names: readonly string[], row: string): string {
  const fields = itemsOf(row).map((item, i) => `${JSON.stringify(names[i] ?? '')}:${item}`);
  return `{${fields.join(',')}}`;
}

/** Texts without their quotes; nothing in them acts on the terminal. */
export function cellText(item: string): string {
  const text = item.startsWith('"') ? String(JSON.parse(item)) : item === 'null' ? 'NULL' : item;
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

/** Columns below each other, as wide as what stands in them. */
export function tableText(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(names, rows);
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-');
  return `${[line(names, widths), rule, ...rows.map((row) => line(row, widths))].join('\n')}\n`;
}

export function columnWidths(
  names: readonly string[],
  rows: readonly (readonly string[])[],
): readonly number[] {
  return names.map((name, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), name.length),
  );
}

export function line(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join(' | ')
    .trimEnd();
}

type Entity = Readonly<Record<string, unknown>>;

/** An entity of `/ksql`. */
export function entityText(entity: Entity): string {
  const warnings = listIn(entity, 'warnings').map((warning) => `! ${textIn(warning, 'message')}\n`);
  return warnings.join('') + bodyText(entity);
}

function bodyText(entity: Entity): string {
  switch (entity['@type']) {
    case 'currentStatus':
      return `${textIn(entity['commandStatus'], 'message')}\n`;
    case 'warning_entity':
      return `${textIn(entity, 'message')}\n`;
    case 'streams':
      return listText(entity, 'streams', ['name', 'topic', 'keyFormat', 'valueFormat']);
    case 'tables':
      return listText(entity, 'tables', ['name', 'topic', 'keyFormat', 'valueFormat', 'isWindowed']);
    case 'queries':
      return listText(entity, 'queries', ['id', 'sinks', 'sinkKafkaTopics', 'state', 'queryString']);
    case 'kafka_topics':
    case 'kafka_topics_extended':
      return listText(entity, 'topics', ['name']);
    case 'function_names':
      return listText(entity, 'functions', ['name', 'type']);
    case 'describe_function':
      return `${textIn(entity, 'type')} ${textIn(entity, 'description')}\n`;
    case 'properties':
      return listText(entity, 'properties', ['name', 'value']);
    case 'variables':
      return listText(entity, 'variables', ['name', 'value']);
    case 'sourceDescription':
      return sourceText(entity['sourceDescription']);
    case 'source_descriptions':
      return listIn(entity, 'sourceDescriptions').map(sourceText).join('\n');
    case 'queryDescription':
      return queryText(entity['queryDescription']);
    case 'query_descriptions':
      return listIn(entity, 'queryDescriptions').map(queryText).join('\n');
    default:
      return `${JSON.stringify(entity)}\n`;
  }
}

function sourceText(source: unknown): string {
  const head = `${textIn(source, 'type')} ${textIn(source, 'name')}, topic ${textIn(source, 'topic')}\n`;
  const fields = listIn(source, 'fields').map((field) => [
    textIn(field, 'name'),
    schemaText(isEntity(field) ? field['schema'] : null),
    textIn(field, 'type'),
  ]);
  return head + tableText(['column', 'type', 'key'], fields);
}

function schemaText(schema: unknown): string {
  const type = textIn(schema, 'type');
  if (!isEntity(schema)) return type;
  const { memberSchema, fields, parameters } = schema;
  if (isEntity(parameters))
    return `${type}(${textIn(parameters, 'precision')}, ${textIn(parameters, 'scale')})`;
  if (isEntity(memberSchema)) return `${type}<${schemaText(memberSchema)}>`;
  if (!Array.isArray(fields)) return type;
  const inner = fields.map((field: unknown) => {
    const own = isEntity(field) ? schemaText(field['schema']) : '';
    return `${textIn(field, 'name')} ${own}`;
  });
  return `${type}<${inner.join(', ')}>`;
}

function queryText(query: unknown): string {
  const statement = textIn(query, 'statementText');
  const id = textIn(query, 'id');
  return `${id === '' ? '' : `${id}: `}${statement}\n${textIn(query, 'executionPlan')}\n`;
}

function listText(entity: Entity, key: string, columns: readonly string[]): string {
  const rows = listIn(entity, key).map((each) => columns.map((column) => textIn(each, column)));
  return tableText(columns, rows);
}

function listIn(value: unknown, key: string): readonly unknown[] {
  const list = isEntity(value) ? value[key] : null;
  return Array.isArray(list) ? (list as readonly unknown[]) : [];
}

function textIn(value: unknown, key: string): string {
  const found = isEntity(value) ? value[key] : undefined;
  if (found === undefined || found === null) return '';
  if (Array.isArray(found)) return found.map(String).join(', ');
  return typeof found === 'string' ? found : (JSON.stringify(found) ?? '');
}

function isEntity(value: unknown): value is Entity {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
