/** The imports of a TypeScript file, found in its text: enough for the checks of this folder, which run in a second. */

export interface ImportStatement {
  /** As it stands in the file. */
  readonly specifier: string;
  /** Names taken from the module, as it calls them; null where they are not said: `import *`, `export *`, `import('…')`. */
  readonly names: readonly string[] | null;
  /** Gone at run time. */
  readonly typeOnly: boolean;
  /** From 1: where the statement ends. */
  readonly line: number;
}

const STATEMENT =
  /(?:^|\n)[ \t]*(import|export)\s+(type\s)?([^'";]*?\sfrom\s*)?(['"])([^'"]+)\4|\bimport\(\s*(['"])([^'"]+)\6\s*\)/g;

/** Imports, re-exports and dynamic imports with a literal specifier, in their order. */
export function importStatements(source: string): ImportStatement[] {
  const text = withoutComments(source);
  return [...text.matchAll(STATEMENT)].map((match) => {
    const end = match.index + match[0].length;
    const braces = /\{([^}]*)\}/.exec(match[3] ?? '')?.[1];
    const listed = braces
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    // `import('…').Name` in a type position is a type; awaited or called it is a value.
    const inType = match[7] === undefined ? null : /^\s*\.\s*([A-Z]\w*)/.exec(text.slice(end));
    const allTypes = listed !== undefined && listed.every((name) => name.startsWith('type '));
    return {
      specifier: match[5] ?? match[7] ?? '',
      names: listed?.map(ownName) ?? (inType === null ? null : [inType[1] ?? '']),
      typeOnly: match[2] !== undefined || allTypes || inType !== null,
      line: text.slice(0, end).split('\n').length,
    };
  });
}

/** `type A as B`: A. */
function ownName(listed: string): string {
  return listed.replace(/^type\s+/, '').split(/\s+as\s+/)[0] ?? listed;
}

/** Comments become blanks, so that line numbers stay. Strings are skipped, since they may hold "//". */
export function withoutComments(text: string): string {
  return text.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (piece) => (piece.startsWith('/') ? piece.replace(/[^\n]/g, ' ') : piece),
  );
}
