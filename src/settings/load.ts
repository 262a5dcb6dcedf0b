import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { SettingsDocument } from './document.ts';
import { errnoReason } from './errno.ts';
import { noteIssues } from './problems.ts';
import { type Environment, followReferences } from './references.ts';
import { resolveSettings } from './resolve.ts';
import { FILE_SCHEMA } from './schema.ts';
import { schemaAt } from './schema-walk.ts';
import type { HttpSettings, Settings, SourceSettings } from './settings.ts';

/**
 * Reads and checks the files. Everything that is wrong is found in one go: throws a HeadwaterError, or an
 * AggregateError of several in the order of files and lines. Error messages begin with `file:line:`.
 */
export async function loadSettings(
  files: readonly string[],
  environment: Environment,
): Promise<readonly Settings[]> {
  const results = await Promise.all(files.map((file) => loadFile(file, environment)));
  const errors = results.flatMap((result) => ('errors' in result ? result.errors : []));
  const loaded = results.filter((result): result is LoadedFile => 'settings' in result);
  errors.push(...conflicts(loaded));
  const [first] = errors;
  if (first !== undefined) {
    throw errors.length === 1 ? first : new AggregateError(errors, `${errors.length} errors in the settings`);
  }
  const settings = loaded.map((file) => file.settings);
  // One HTTP interface a process: files without a block follow the one that has it.
  const http = settings.find(hasHttp)?.http;
  return http === undefined ? settings : settings.map((each) => ({ ...each, http }));
}

interface LoadedFile {
  readonly settings: Settings;
  readonly document: SettingsDocument;
}

async function loadFile(
  file: string,
  environment: Environment,
): Promise<LoadedFile | { readonly errors: readonly HeadwaterError[] }> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = errnoReason(error);
    return {
      errors: [
        new HeadwaterError('settings.file-unreadable', `${file}: ${reason}`, {
          details: { file },
          cause: error,
        }),
      ],
    };
  }
  const document = new SettingsDocument(file, text);
  const failed = (): { errors: readonly HeadwaterError[] } => ({ errors: document.errors() });
  if (!document.wellFormed) return failed();
  const directory = dirname(resolve(file));
  const value = await followReferences({ document, environment, directory, schemaAt });
  const parsed = FILE_SCHEMA.safeParse(value);
  if (!parsed.success) {
    noteIssues(document, parsed.error.issues, value);
    return failed();
  }
  const settings = await resolveSettings(parsed.data, { document, directory, environment });
  return document.problems.length > 0 ? failed() : { settings, document };
}

/** What one process cannot have twice. */
function conflicts(files: readonly LoadedFile[]): readonly HeadwaterError[] {
  const names = new Map<string, LoadedFile>();
  const readings = new Map<string, LoadedFile>();
  let http: LoadedFile | null = null;
  for (const each of files) {
    const { settings, document } = each;
    const { source } = settings;
    const sameName = names.get(settings.name);
    names.set(settings.name, sameName ?? each);
    if (sameName !== undefined) {
      document.problem(
        'settings.duplicate-name',
        ['name'],
        `the name ${settings.name} is also that of ${sameName.settings.file}`,
      );
      return document.errors();
    }
    const reading = readingOf(source);
    const place = `${source.hosts.map(({ host, port }) => `${host}:${port}`).join(',')} ${reading?.what}`;
    const same = reading === null ? undefined : readings.get(place);
    readings.set(place, same ?? each);
    if (reading !== null && same !== undefined) {
      document.problem(
        'settings.duplicate-name',
        reading.key,
        `the ${reading.what} is also that of ${same.settings.file}`,
        { fix: `Give one of the pipelines another ${reading.key.join('.')}.` },
      );
      return document.errors();
    }
    if (!hasHttp(settings)) continue;
    if (http !== null && httpText(http.settings.http) !== httpText(settings.http)) {
      document.problem(
        'settings.duplicate-name',
        ['http'],
        `the http block differs from that of ${http.settings.file}; one process has one HTTP interface`,
        { fix: 'Keep the http block in one of the files.' },
      );
      return document.errors();
    }
    http ??= each;
  }
  return [];
}

/** What two pipelines cannot share at one server; null where there is no such thing. */
function readingOf({ connector, mysql, oracle, postgres }: SourceSettings): {
  readonly what: string;
  readonly key: readonly string[];
} | null {
  switch (connector) {
    case 'postgresql':
      return { what: `replication slot ${postgres.slot}`, key: ['source', 'postgres', 'slot'] };
    case 'oracle':
      if (oracle.flushTable === null) return null;
      return { what: `flush table ${oracle.flushTable}`, key: ['source', 'oracle', 'flush_table'] };
    case 'mysql':
    case 'mariadb':
      return { what: `server id ${mysql.serverId}`, key: ['source', 'mysql', 'server_id'] };
  }
}

function hasHttp({ http }: Settings): boolean {
  return http.explicit || http.sql.explicit;
}

function httpText({ listen, token, sql }: HttpSettings): string {
  return JSON.stringify([listen, token?.reveal(), sql.listen]);
}
