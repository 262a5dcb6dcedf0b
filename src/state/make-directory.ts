import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * The directory and those above it, where they are missing; answers whether it was. Node's own `recursive` never returns where the file
 * system says ENOENT of a directory that cannot be made, as /proc does. Throws what the system says.
 */
export function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return false;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path) throw error;
    makeDirectory(above);
    mkdirSync(path);
    return true;
  }
}
