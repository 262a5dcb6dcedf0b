import { HeadwaterError } from '../../../errors/headwater-error.ts';

/** `delivery.disk` for an error of the file system; others are left as they are. `what`: "Directory", "State directory". */
export function diskError(error: unknown, what: string, dir: string): unknown {
  if (error instanceof HeadwaterError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  return new HeadwaterError('delivery.disk', `${what} ${dir} cannot be used: ${message}.`, {
    details: { dir, errno: code },
    cause: error,
  });
}
