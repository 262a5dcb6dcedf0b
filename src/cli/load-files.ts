import { splitOf } from '../daemon/enrichment.ts';
import { rowFilters } from '../daemon/row-filters.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { loadSettings } from '../settings/load.ts';
import type { Settings } from '../settings/settings.ts';

export async function loadFiles(files: readonly (string | number)[]): Promise<readonly Settings[]> {
  return await loadSettings(files.map(String), process.env);
}

/** With the statements and filters read too; whether tables have their columns only the database can tell. */
export async function loadWithStatements(files: readonly (string | number)[]): Promise<readonly Settings[]> {
  const settings = await loadFiles(files);
  for (const each of settings) {
    splitOf(each);
    await rowFilters(each);
  }
  return settings;
}

/** For commands that take one file. */
export async function loadOneFile(file: string | number): Promise<Settings> {
  const [settings] = await loadFiles([file]);
  if (settings === undefined) throw new HeadwaterError('internal.bug', `${file} gave no settings`);
  return settings;
}
