/** What systemd does at its end of NOTIFY_SOCKET: takes datagrams. Perl has such sockets, and every Debian has Perl. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const RECEIVER = `use Socket; $| = 1;
socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind(S, sockaddr_un($ARGV[0])) or die $!;
print "bound\\n";
while (defined recv(S, $message, 65536, 0)) { $message =~ s/\\n/\\t/g; print "$message\\n" }`;

export class NotifySocket implements AsyncDisposable {
  readonly path: string;
  readonly #dir: string;
  readonly #child: ChildProcess;
  readonly #messages: (readonly string[])[] = [];
  #wake: () => void = () => {};

  private constructor(dir: string, child: ChildProcess) {
    this.#dir = dir;
    this.path = join(dir, 'notify');
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#messages.push(line.split('\t'));
      this.#wake();
    });
  }

  static async open(): Promise<NotifySocket> {
    const dir = await mkdtemp(join(tmpdir(), 'headwater-notify-'));
    const child = spawn('perl', ['-e', RECEIVER, join(dir, 'notify')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child, 'spawn');
    const socket = new NotifySocket(dir, child);
    await socket.next(([first]) => first === 'bound');
    return socket;
  }

  /** Each the lines of one message; systemd-notify's own barriers apart. */
  get messages(): readonly (readonly string[])[] {
    return this.#messages.filter(([first]) => first !== 'BARRIER=1' && first !== 'bound');
  }

  /** The first message that satisfies `wanted`, come or to come. */
  async next(wanted: (message: readonly string[]) => boolean): Promise<readonly string[]> {
    for (;;) {
      const found = this.#messages.find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    await rm(this.#dir, { recursive: true });
  }
}
