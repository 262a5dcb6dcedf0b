import type { RegistryAccess } from '../../src/enrichment/formats/registry-access.ts';
import type { Code } from '../../src/errors/catalogue.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';

export interface Registered {
  readonly subject: string;
  readonly id: number;
  readonly text: string;
}

/** A registry that takes everything. */
export function fakeRegistry(registered: Registered[]): RegistryAccess {
  const none = (): Promise<null> => Promise.resolve(null);
  return {
    reader: { byId: none, latest: none, version: none },
    forget: () => Promise.resolve(),
    writer: (known) => {
      let changed: Map<string, string> | undefined;
      const own = new Map(known);
      return {
        id: ({ topic, part }, { text }) => {
          const subject = `${topic}-${part}`;
          const kept = own.get(`registry/${subject}`);
          if (kept !== undefined) return Promise.resolve(Number(kept));
          const id = registered.push({ subject, id: registered.length + 1, text });
          own.set(`registry/${subject}`, String(id));
          (changed ??= new Map()).set(`registry/${subject}`, String(id));
          return Promise.resolve(id);
        },
        takeChanged: () => {
          const taken = changed;
          changed = undefined;
          return taken;
        },
      };
    },
  };
}

/** One that takes everything but the values of REFUSED. */
export class Forbidding implements RegistryAccess {
  forbids = true;
  readonly #takesAll = fakeRegistry([]);
  readonly reader = this.#takesAll.reader;
  readonly forget = (): Promise<void> => Promise.resolve();
  readonly #code: Code;

  constructor(code: Code = 'schema.incompatible') {
    this.#code = code;
  }

  writer(...run: Parameters<RegistryAccess['writer']>): ReturnType<RegistryAccess['writer']> {
    const writer = this.#takesAll.writer(...run);
    return {
      id: (place, schema) =>
        this.forbids && place.topic === 'REFUSED' && place.part === 'value'
          ? Promise.reject(new HeadwaterError(this.#code, 'REFUSED-value forbids: STARS: int → string.'))
          : writer.id(place, schema),
      takeChanged: () => writer.takeChanged(),
    };
  }
}
