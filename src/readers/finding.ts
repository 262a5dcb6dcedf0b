import type { Code } from '../errors/catalogue.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { Finding } from './reader.ts';

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message };
}

export function warning(check: string, message: string, fix?: string): Finding {
  return fix === undefined ? { check, level: 'warning', message } : { check, level: 'warning', message, fix };
}

export function failed(check: string, code: Code, message: string, fix?: string): Finding {
  const finding = { check, level: 'error', message, code } as const;
  return fix === undefined ? finding : { ...finding, fix };
}

/** As `failed`, of an error that was thrown and mapped. What is none of ours is a bug, and goes on. */
export function failedBy(mapped: unknown, check: string): Finding {
  if (!(mapped instanceof HeadwaterError)) throw mapped;
  return failed(check, mapped.code, mapped.message, mapped.fix);
}
