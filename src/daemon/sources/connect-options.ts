import type { SourceSettings } from '../../settings/settings.ts';

/** What all sources need to connect. */
export interface ConnectOptions {
  readonly hosts: SourceSettings['hosts'];
  readonly user: string;
  readonly password: string | null;
  readonly tls: {
    readonly mode: SourceSettings['tls']['mode'];
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  };
  readonly connectTimeoutMs: number;
}

export function connectOptions({
  hosts,
  user,
  password,
  tls,
  connectTimeoutMs,
}: SourceSettings): ConnectOptions {
  return {
    hosts,
    user,
    password: password?.reveal() ?? null,
    tls: { mode: tls.mode, ca: tls.ca, cert: tls.cert, key: tls.key?.reveal() ?? null },
    connectTimeoutMs,
  };
}
