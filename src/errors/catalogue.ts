/**
 * Every error Headwater can raise, with what happens then and what the operator can do. The table is total:
 * a code without a fate does not compile. docs/errors.md is generated from it (`npm run docs`).
 */

import { DELIVERY } from './catalogue/delivery.ts';
import { ENRICHMENT } from './catalogue/enrichment.ts';
import { PROCESS } from './catalogue/process.ts';
import { SCHEMAS } from './catalogue/schemas.ts';
import { SNAPSHOT } from './catalogue/snapshot.ts';
import { SOURCE } from './catalogue/source.ts';
import type { CatalogueEntry } from './catalogue/entry.ts';

export type { CatalogueEntry, ExitCode, Fate } from './catalogue/entry.ts';

export const CATALOGUE = {
  ...PROCESS,
  ...SOURCE,
  ...SNAPSHOT,
  ...DELIVERY,
  ...SCHEMAS,
  ...ENRICHMENT,
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof CATALOGUE;

export function entryOf(code: Code): CatalogueEntry {
  return CATALOGUE[code];
}
