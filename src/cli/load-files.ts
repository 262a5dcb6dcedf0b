import { HeadwaterError } from '../errors/headwater-error.ts';
import { loadSettings } from '../settings/load.ts';
import type { Settings } from '../settings/settings.ts';

export async function loadFiles(files: readonly (string | number)[]): Promise<readonly Settings[]> {
  return await loadSettings(files.map(String), process.env);
}

/** For commands that take one file. */
export async function loadOneFile(file: string | number): Promise<Settings> {
  const [settings] = await loadFiles([file]);
  if (settings === undefined) throw new HeadwaterError('internal.bug', `${file} gave no settings`);
  return settings;
}
