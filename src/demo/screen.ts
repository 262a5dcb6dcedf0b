/** What the demo writes: plain lines where nobody looks, colours and a line that moves on a terminal. */
export interface Screen {
  readonly colour: boolean;
  /** With what `note` shows kept below it. */
  line(text: string): void;
  heading(text: string): void;
  /** What is going on right now; the next note or line takes its place. Nothing where there is no terminal. */
  note(text: string): void;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

export interface ScreenOptions {
  readonly write: (text: string) => void;
  readonly terminal: boolean;
  readonly colour: boolean;
}

export function createScreen({ write, terminal, colour }: ScreenOptions): Screen {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const clear = '\r\u001b[K';
  let noted = false;
  const line = (text: string): void => {
    write(`${noted ? clear : ''}${text}\n`);
    noted = false;
  };
  return {
    colour,
    line,
    heading: (text) => line(`\n${paint(1, text)}`),
    note(text) {
      if (!terminal || (text === '' && !noted)) return;
      write(`${clear}${text}`);
      noted = text !== '';
    },
    dim: (text) => paint(2, text),
    good: (text) => paint(32, text),
    bad: (text) => paint(31, text),
  };
}
