/**
 * Why a real server is not there. `missing`: this machine cannot run it (no Java, no setpriv …): its
 * tests are left out, the demo does without. `download`: it could be had but fetching it failed.
 */
export class ServerUnavailable extends Error {
  readonly kind: 'missing' | 'download';

  constructor(kind: 'missing' | 'download', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServerUnavailable';
    this.kind = kind;
  }
}
