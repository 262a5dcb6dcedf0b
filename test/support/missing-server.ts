/**
 * Why a real server is not there. `missing`: this machine cannot run it (no Java, no setpriv …): outside CI its
 * tests are left out and named at the end of the run. `download`: it could be had but fetching it failed: always
 * a failure, with an exit code of its own.
 */
export class ServerUnavailable extends Error {
  readonly kind: 'missing' | 'download';

  constructor(kind: 'missing' | 'download', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServerUnavailable';
    this.kind = kind;
  }
}

/** Exit code of `npm test` when a pinned download could not be fetched. */
export const DOWNLOAD_FAILED_EXIT = 75;
