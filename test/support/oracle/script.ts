/**
 * Scripts as JSON: rows of V$LOGMNR_CONTENTS, what is done with them, and what must come out. Written by hand, and by
 * the live suite out of what a server has sent (test/fixtures/oracle).
 */
import { type OraclePosition, type ThreadCommits } from '../../../src/readers/oracle/position.ts';
import type { FakeRedo } from './fake-oracle.ts';
import { Harness, serverWith, type TableScript } from './harness.ts';

export interface Script {
  readonly id: string;
  readonly title: string;
  /** Server version and date, where it was recorded. */
  readonly origin?: string;
  readonly config: {
    readonly lobs?: boolean;
    readonly strategy?: 'hybrid' | 'online_catalog' | 'redo_log_catalog';
    readonly characterSet?: string;
  };
  readonly tables: Readonly<Record<string, TableScript>>;
  readonly startOffset: {
    readonly scn: string;
    readonly commit_scn: Readonly<
      Record<string, { readonly scn: string; readonly txIds: readonly string[] }>
    >;
  };
  readonly redo: readonly FakeRedo[];
  readonly steps: readonly ScriptStep[];
  readonly expected: {
    readonly events: readonly ScriptEvent[];
    readonly offset?: { readonly scn: string };
    readonly warnings: readonly string[];
  };
}

export type ScriptStep =
  | { readonly poll: string }
  | { readonly restart: { readonly lastAckedEvent?: number } }
  | {
      readonly fail: {
        readonly on: string;
        readonly afterRows?: number;
        readonly message: string;
        readonly times: number;
      };
    };

export interface ScriptEvent {
  readonly op: string;
  readonly table: string;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly scn: string;
  readonly txId: string;
  readonly commit_scn: string;
  readonly seq: number;
  readonly thread: number;
}

/** Runs a script; what came out is in the harness, which is closed. */
export async function runScript(
  script: Script,
): Promise<{ readonly harness: Harness; readonly problems: readonly string[] }> {
  const server = serverWith(script.tables);
  server.redo = [...script.redo];
  server.characterSet = script.config.characterSet ?? 'AL32UTF8';
  const scn = BigInt(script.startOffset.scn);
  server.logs[0]!.first = scn > 1000n ? scn - 1000n : 1n;
  server.currentScn = scn;
  const commits = new Map<number, ThreadCommits>(
    Object.entries(script.startOffset.commit_scn).map(([thread, mark]) => [
      Number(thread),
      { scn: BigInt(mark.scn), xids: mark.txIds },
    ]),
  );
  const start: OraclePosition = { scn, read: scn, upTo: scn, commits, mid: null };
  const { lobs = false, strategy = 'hybrid' } = script.config;
  const tables = Object.keys(script.tables);
  const harness = new Harness(server, { lobs, strategy, tables, limits: { batchChanges: 1 } }, start);
  for (const step of script.steps) {
    if ('poll' in step) {
      await polled(harness, BigInt(step.poll));
    } else if ('restart' in step) {
      await harness.restart(step.restart.lastAckedEvent);
    } else {
      const { on, afterRows, message, times } = step.fail;
      server.faults.push(
        afterRows === undefined ? { on, message, times } : { on, afterRows, message, times },
      );
    }
  }
  return { harness, problems: await harness.close() };
}

/** As the supervisor: a failed attempt is followed by another one. */
async function polled(harness: Harness, scn: bigint): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await harness.poll(scn);
      return;
    } catch (error) {
      if (attempt === 5) throw error;
      await harness.restart();
    }
  }
}
