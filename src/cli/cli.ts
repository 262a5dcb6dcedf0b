import yargs, { type ArgumentsCamelCase } from 'yargs';
import type { Command } from './command.ts';
import { errorsOf, exitCodeOf, formatErrors } from './print-error.ts';
import { VERSION } from './version.ts';

interface Entry {
  readonly usage: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** All commands. Their code is loaded when one is used, so that a start pays for nothing else. */
export const COMMANDS: readonly Entry[] = [
  {
    usage: 'run <files..>',
    summary: 'Run the daemon: one pipeline for each file',
    load: async () => (await import('./commands/run.ts')).command,
  },
  {
    usage: 'validate <files..>',
    summary: 'Check settings files, without connecting to anything',
    load: async () => (await import('./commands/validate.ts')).command,
  },
  {
    usage: 'doctor <files..>',
    summary: 'Connect, and check everything that can go wrong before it does',
    load: async () => (await import('./commands/doctor.ts')).command,
  },
  {
    usage: 'status [file]',
    summary: 'State, lag, throughput and tables of a running daemon',
    load: async () => (await import('./commands/status.ts')).command,
  },
  {
    usage: 'snapshot <file> [tables..]',
    summary: 'Read tables again while the pipeline streams, or hold or end what is being read',
    load: async () => (await import('./commands/snapshot.ts')).command,
  },
  {
    usage: 'resync <file> <tables..>',
    summary: 'Forget what is known of tables and read them again, while the pipeline streams',
    load: async () => (await import('./commands/resync.ts')).command,
  },
  {
    usage: 'pause <file> [tables..]',
    summary: 'Stop a running pipeline, or some of its tables, from delivering',
    load: async () => (await import('./commands/pause.ts')).command,
  },
  {
    usage: 'resume <file> [tables..]',
    summary: 'Let a paused pipeline, or some of its tables, go on',
    load: async () => (await import('./commands/resume.ts')).command,
  },
  {
    usage: 'reload [file]',
    summary: 'Let the running daemon read its settings files again',
    load: async () => (await import('./commands/reload.ts')).command,
  },
  {
    usage: 'dlq <action> <file>',
    summary: 'Changes that could not be delivered, and why; read their rows again',
    load: async () => (await import('./commands/dlq.ts')).command,
  },
  {
    usage: 'offsets <action> <file> [position]',
    summary: 'Show, export or set the position a pipeline resumes at',
    load: async () => (await import('./commands/offsets.ts')).command,
  },
  {
    usage: 'schema <action> <file> [table]',
    summary: 'Show the versions of table schemas, and where they begin',
    load: async () => (await import('./commands/schema.ts')).command,
  },
  {
    usage: 'tail <file> [table]',
    summary: 'Show delivered changes as they come, before and after',
    load: async () => (await import('./commands/tail.ts')).command,
  },
  {
    usage: 'sql [file] [exported]',
    summary: 'Ask the streams and tables of a running daemon; print statements for another engine',
    load: async () => (await import('./commands/sql.ts')).command,
  },
  {
    usage: 'demo',
    summary: 'Show it all on a little shop: own PostgreSQL, own Kafka if there can be one',
    load: async () => (await import('./commands/demo.ts')).command,
  },
  {
    usage: 'import <file>',
    summary: 'Make a settings file of a Debezium connector’s configuration',
    load: async () => (await import('./commands/import.ts')).command,
  },
  {
    usage: 'settings <action>',
    summary: 'Print the JSON Schema of settings files',
    load: async () => (await import('./commands/settings.ts')).command,
  },
  {
    usage: 'completion <shell>',
    summary: 'Print a script that completes commands and options in bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).command,
  },
];

const LINGER_MS = 2_000;

/** A command line that cannot be understood. */
class UsageError extends Error {}

/** Runs one command and sets the exit code: 0, 1 runtime, 2 settings or usage, 3 environment, 128 + signal. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const json = argv.includes('--json');
  process.on('uncaughtException', (error) => {
    process.stderr.write(formatErrors(errorsOf(error), json));
    process.exit(1);
  });
  try {
    process.exitCode = await parse(argv);
  } catch (thrown) {
    if (thrown instanceof UsageError) {
      const lines = [`error[usage] ${thrown.message}`, '  → headwater --help, or headwater COMMAND --help'];
      process.stderr.write(`${lines.join('\n')}\n`);
      process.exitCode = 2;
      return;
    }
    const errors = errorsOf(thrown);
    process.stderr.write(formatErrors(errors, json));
    process.exitCode = exitCodeOf(errors);
  }
  // Everything is closed by now. Should a connection linger all the same, it does not keep the process.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

async function parse(argv: readonly string[]): Promise<number> {
  let code = 0;
  const parser = yargs([...argv])
    .scriptName('headwater')
    .usage('$0 <command>\n\nChange data capture into Kafka.')
    .version(VERSION)
    .strict()
    .recommendCommands()
    .demandCommand(1, 'no command is given')
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue('Exit codes: 0 clean, 1 runtime, 2 settings or usage, 3 environment, 128+n by signal n.')
    .exitProcess(false)
    .updateStrings({
      'Not enough non-option arguments: got %s, need at least %s': {
        one: 'an argument is missing (%s given, %s needed)',
        other: 'arguments are missing (%s given, %s needed)',
      } as unknown as string,
      'Did you mean %s?': 'no such command; did you mean %s?',
    })
    .fail((message, error, instance) => {
      // What a command throws is not a slip in its use.
      if (error !== undefined && error !== null) throw error;
      if (argv.length === 0) instance.showHelp();
      throw new UsageError(message);
    });
  for (const entry of COMMANDS) {
    parser.command(
      entry.usage,
      entry.summary,
      async (builder) => (await entry.load()).build(builder),
      async (args: ArgumentsCamelCase) => {
        code = await (await entry.load()).run(args);
      },
    );
  }
  await parser.parseAsync();
  return code;
}
