import type { Path, SettingsDocument } from './document.ts';
import type { FileShape } from './schema.ts';
import { Secret } from './secret.ts';
import type {
  ColumnSettings,
  EmitSettings,
  OutboxSettings,
  RouteSettings,
  TableSettings,
} from './settings.ts';

type EmitShape = FileShape['emit'];
type ColumnShape = NonNullable<FileShape['tables'][string]['columns']>;

export function resolveEmitTransforms(
  emit: EmitShape,
  document: SettingsDocument,
): Pick<EmitSettings, 'routes' | 'unwrapped' | 'skipOperations' | 'skipUnchanged' | 'headers' | 'hashKey'> {
  const { unwrapped } = emit;
  if (emit.envelope === 'full' && document.has(['emit', 'unwrapped'])) {
    document.problem(
      'settings.invalid',
      ['emit', 'unwrapped'],
      'emit.unwrapped needs emit.envelope: unwrapped',
      { atKey: true },
    );
  }
  return {
    routes: emit.routes.flatMap((route, i) => resolveRoute(route, ['emit', 'routes', i], document)),
    unwrapped: {
      deletes: unwrapped.deletes,
      fields: unwrapped.fields ?? [],
      headers: unwrapped.headers ?? [],
    },
    skipOperations: emit.skip_operations,
    skipUnchanged: emit.skip_unchanged,
    headers: new Map(Object.entries(emit.headers)),
    hashKey: emit.hash_key === undefined ? null : new Secret(emit.hash_key),
  };
}

export function resolveTables(
  shape: FileShape,
  document: SettingsDocument,
): ReadonlyMap<string, TableSettings> {
  return new Map(
    Object.entries(shape.tables).map(([table, { key, topic, columns, headers, filter }]) => [
      table,
      {
        key: key ?? null,
        topic: topic ?? null,
        columns:
          columns === undefined ? null : resolveColumns(columns, ['tables', table, 'columns'], document),
        headers: new Map(Object.entries(headers)),
        filter: filter ?? null,
      },
    ]),
  );
}

export function resolveOutbox({ outbox }: FileShape, document: SettingsDocument): OutboxSettings | null {
  if (outbox === undefined) return null;
  if (!/^([A-Za-z0-9._-]|\{route\})*$/.test(outbox.topic)) {
    document.problem(
      'settings.invalid',
      ['outbox', 'topic'],
      'outbox.topic may hold letters, digits, dots, hyphens, underscores and {route}',
    );
  }
  const { table, topic, id, key, payload } = outbox;
  return {
    table,
    topic,
    routeBy: outbox.route_by,
    id,
    key,
    payload,
    timestamp: outbox.timestamp ?? null,
    headers: new Map(Object.entries(outbox.headers)),
  };
}

function resolveRoute(
  route: EmitShape['routes'][number],
  path: Path,
  document: SettingsDocument,
): readonly RouteSettings[] {
  let match: RegExp;
  try {
    match = new RegExp(`^(?:${route.match})$`);
  } catch {
    document.problem(
      'settings.invalid',
      [...path, 'match'],
      'the match of this route is not a regular expression',
    );
    return [];
  }
  if (route.key_value !== undefined && route.key_field === undefined) {
    document.problem('settings.invalid', [...path, 'key_value'], 'key_value needs a key_field beside it');
  }
  const keyField =
    route.key_field === undefined ? null : { name: route.key_field, value: route.key_value ?? null };
  return [{ match, topic: route.topic, keyField }];
}

function resolveColumns(columns: ColumnShape, path: Path, document: SettingsDocument): ColumnSettings {
  const { include, exclude, mask, truncate, rename } = columns;
  if (include !== undefined && exclude !== undefined) {
    document.problem(
      'settings.invalid',
      path,
      'include and exclude of columns cannot stand together; keep one',
      {
        atKey: true,
      },
    );
  }
  const hidden = Object.keys(mask).find((column) => Object.hasOwn(truncate, column));
  if (hidden !== undefined) {
    document.problem(
      'settings.invalid',
      [...path, 'truncate', hidden],
      'a column that is masked cannot be truncated too',
    );
  }
  return {
    include: include ?? null,
    exclude: exclude ?? [],
    mask: new Map(Object.entries(mask).map(([column, how]) => [column, how ?? 'null'])),
    truncate: new Map(Object.entries(truncate)),
    rename: new Map(Object.entries(rename)),
  };
}
