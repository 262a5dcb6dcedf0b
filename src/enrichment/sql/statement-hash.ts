import { hash } from 'node:crypto';

/** Of a statement as it is printed, for the checkpoint: what was made by another one is of no use. */
export function statementHash(statement: string): string {
  return hash('sha256', statement, 'hex').slice(0, 16);
}
