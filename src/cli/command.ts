import type { ArgumentsCamelCase, Argv } from 'yargs';

/** One command, in a file of its own that is loaded only when the command is used. */
export interface Command {
  build(yargs: Argv): Argv;
  /** Resolves to the exit code. What it throws is printed and decides the exit code by the catalogue. */
  run(args: ArgumentsCamelCase): Promise<number>;
}

export interface CommandSpec<A> {
  build(yargs: Argv): Argv<A>;
  run(args: ArgumentsCamelCase<A>): Promise<number>;
}

/** Ties the arguments that `run` gets to the options that `build` declares. */
export function defineCommand<A>(spec: CommandSpec<A>): Command {
  return {
    build: (yargs) => spec.build(yargs),
    // yargs gives back what `build` has declared; that link cannot be seen by the compiler across the call.
    run: (args) => spec.run(args as ArgumentsCamelCase<A>),
  };
}
