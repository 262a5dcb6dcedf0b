/** What the connector makes of single tables and their columns. */
import { listOf, literalName, type PropertyRule, type SettingsDraft } from './settings-draft.ts';

/** `schema.table.column`, where it is a plain name; the table alone may hold dots no more than the others. */
function columnName(expression: string): { readonly table: string; readonly column: string } | null {
  const parts = literalName(expression)?.split('.') ?? [];
  if (parts.length < 3) return null;
  return { table: parts.slice(-3, -1).join('.'), column: parts.at(-1)! };
}

/** Applies to each column that is named plainly, and says which are not. */
function eachColumn(
  draft: SettingsDraft,
  property: string,
  value: string,
  apply: (table: string, column: string) => void,
): void {
  for (const expression of listOf(value)) {
    const name = columnName(expression);
    if (name === null) {
      draft.note(
        property,
        `has an expression for several columns, ${expression}; name them one by one in tables`,
      );
    } else apply(name.table, name.column);
  }
}

export const TABLE_RULES: readonly PropertyRule[] = [
  {
    name: /^column\.(?:exclude\.list|blacklist)$/,
    apply: (draft, { property, value }) =>
      eachColumn(draft, property, value, (table, column) =>
        draft.add(['tables', table, 'columns', 'exclude'], column),
      ),
  },
  {
    name: /^column\.(?:include\.list|whitelist)$/,
    apply: (draft, { property, value }) =>
      eachColumn(draft, property, value, (table, column) =>
        draft.add(['tables', table, 'columns', 'include'], column),
      ),
  },
  {
    name: /^column\.mask\.with\.(\d+)\.chars$/,
    apply: (draft, { property, value, groups }) =>
      eachColumn(draft, property, value, (table, column) =>
        draft.set(['tables', table, 'columns', 'mask', column], Number(groups[0])),
      ),
  },
  {
    name: /^column\.truncate\.to\.(\d+)\.chars$/,
    apply: (draft, { property, value, groups }) =>
      eachColumn(draft, property, value, (table, column) =>
        draft.set(['tables', table, 'columns', 'truncate', column], Number(groups[0])),
      ),
  },
  {
    // The salt stays out of what is printed: the property's name holds it.
    name: /^column\.mask\.hash\.(?:v2\.)?([^.]+)\.with\.salt\..+$/,
    apply: (draft, { value, groups }) => {
      eachColumn(draft, 'column.mask.hash', value, (table, column) =>
        draft.set(['tables', table, 'columns', 'mask', column], 'hash'),
      );
      draft.set(['emit', 'hash_key'], '${env:HEADWATER_HASH_KEY}');
      draft.note(
        'column.mask.hash',
        `becomes an HMAC-SHA-256 (it was ${groups[0]} with a salt): hashes will differ; put a key into HEADWATER_HASH_KEY`,
      );
    },
  },
  {
    name: 'message.key.columns',
    apply: (draft, { property, value }) => {
      for (const entry of value.split(';').map((each) => each.trim())) {
        if (entry === '') continue;
        const colon = entry.lastIndexOf(':');
        const table = literalName(entry.slice(0, colon).trim());
        if (colon < 0 || table === null) {
          draft.note(
            property,
            `has an expression for several tables, ${entry}; name them one by one in tables`,
          );
          continue;
        }
        const columns = listOf(entry.slice(colon + 1));
        draft.set(['tables', table.split('.').slice(-2).join('.'), 'key'], [...columns]);
      }
    },
  },
  {
    name: /^(?:column|datatype)\.propagate\.source\.type$/,
    apply: (draft, { property }) => draft.note(property, 'has no equal'),
  },
];
