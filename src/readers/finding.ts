import type { Code } from '../errors/catalogue.ts';
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
