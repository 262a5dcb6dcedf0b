/** Options and positionals that several commands have. */

export const PRINT_JSON = { type: 'boolean', default: false, describe: 'Print JSON' } as const;

/** `FILE` of a command that is about one pipeline. */
export const PIPELINE_FILE = {
  type: 'string',
  demandOption: true,
  describe: 'Settings file of the running pipeline',
} as const;

/** `[FILE]` of a command that is about a daemon. */
export const DAEMON_FILE = {
  type: 'string',
  describe:
    'Settings file that says where the daemon listens; without it 127.0.0.1:8080 and $HEADWATER_TOKEN',
} as const;
