import type { SettingsDraft } from './settings-draft.ts';

/** A secret of the connector's configuration, and where Headwater's is to come from. */
export interface KeptSecret {
  readonly property: string;
  readonly value: string;
  /** Of the settings. */
  readonly path: readonly string[];
  /** The environment variable that the operator puts it into. */
  readonly variable: string;
}

/** A secret never gets from one file into another: only where it is kept does. */
export function keepSecret(draft: SettingsDraft, { property, value, path, variable }: KeptSecret): void {
  const named = /^\$\{env:(?:[^:}]*:)?([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value)?.[1];
  draft.set(path, `\${env:${named ?? variable}}`);
  if (named !== undefined) return;
  draft.note(
    property,
    value.startsWith('${')
      ? `comes from a configuration provider of Connect; put it into ${variable}, or name a file`
      : `is left out; put it into the environment variable ${variable}, or name a file`,
  );
}
