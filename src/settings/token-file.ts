import { readFile } from 'node:fs/promises';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { errnoReason } from './errno.ts';
import { Secret } from './secret.ts';

/** The token in a file; `setting` is the one that names the file. Read anew each time: tokens are replaced. */
export async function readToken(path: string, setting: string): Promise<string> {
  try {
    // Through Secret, so that a token that turns up in a message later is masked.
    return new Secret((await readFile(path, 'utf8')).trim()).reveal();
  } catch (error) {
    throw new HeadwaterError(
      'settings.secret-missing',
      `The file of ${setting} has no token: ${errnoReason(error)}`,
      { cause: error },
    );
  }
}
