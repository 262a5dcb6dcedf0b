import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { entryOf } from '../errors/catalogue.ts';
import { asHeadwaterError } from '../errors/headwater-error.ts';
import { SILENT } from '../observability/log.ts';
import type { SourceInfo } from '../model/change.ts';
import type { Finding, Reader } from '../readers/reader.ts';
import type { Settings } from '../settings/settings.ts';
import { decodeCursor } from '../readers/polling/cursor.ts';
import { POLL_PREFIX, POSITION_KEY } from '../state/checkpoint.ts';
import { readCheckpoint } from '../state/durable-state.ts';
import { changeOver } from './change-over.ts';
import { encryptionFinding } from './encryption-finding.ts';
import { registryClient } from './encodings.ts';
import { topicsOf } from './topics.ts';
import { kafkaOptions, readSinkState } from './sinks.ts';
import { type Capture, decideCapture } from './sources/capture.ts';
import { openReader, withSource } from './sources/source.ts';
import type { Source } from './sources/source-parts.ts';
import { idleSettings, misfitsOf } from './table-fit.ts';

/**
 * Everything that can be known to go wrong before it does. Changes nothing at the source and creates no topic;
 * never throws for what it can describe.
 */
export async function diagnose(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  const findings = await Promise.all([
    checkSource(settings, signal),
    checkSink(settings, signal),
    checkRegistry(settings, signal),
  ]);
  return findings.flat().map(withAdvice);
}

async function checkSource(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  // A sink that cannot be asked is told of by its own check.
  const state = await readSinkState(settings, signal).catch(() => null);
  // Who cannot be asked is told of by the checks of the log.
  const capture = await decideCapture(settings, signal).catch(() => null);
  const chosen = capture?.settings ?? settings;
  const findings = await withSource(chosen, SILENT, (source) =>
    findingsOf(source, { settings: chosen, state: stateFor(chosen, state) }, signal),
  );
  const encryption = encryptionFinding(settings.source);
  if (capture === null) return [encryption, ...findings];
  return [...modeFindings(capture), ...missedFindings(state), encryption, ...findings];
}

/** What a start would find of the state. */
function stateFor(
  settings: Settings,
  state: ReadonlyMap<string, string> | null,
): ReadonlyMap<string, string> | null {
  if (state === null) return null;
  const gone = changeOver(settings, state)?.state;
  return gone === undefined ? state : new Map([...state].filter(([key]) => !gone.has(key)));
}

function modeFindings({ mode, reason }: Capture): readonly Finding[] {
  if (reason === null) return [];
  const message = `${mode === 'log' ? 'Changes are read from the log' : 'Changes are found by polling'}: ${reason}`;
  return [{ check: 'mode', level: mode === 'log' ? 'ok' : 'warning', message: message.replace(/\.?$/, '.') }];
}

/** Rows that comparing keys has found, and polling had not. */
function missedFindings(state: ReadonlyMap<string, string> | null): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [key, text] of state ?? []) {
    if (!key.startsWith(POLL_PREFIX)) continue;
    const { missed } = decodeCursor(text, key);
    if (missed === 0) continue;
    const table = key.slice(POLL_PREFIX.length);
    findings.push({
      check: `polling ${table}`,
      level: 'warning',
      message: `Comparing the keys of ${table} has found ${missed} rows that had changed without its timestamp or number.`,
      fix: 'Let a trigger set the timestamp, or poll the table by mode: bulk.',
    });
  }
  return findings;
}

interface Asked {
  readonly settings: Settings;
  /** Null where the sink does not answer. */
  readonly state: ReadonlyMap<string, string> | null;
}

async function findingsOf<P, S extends SourceInfo>(
  source: Source<P, S>,
  { settings, state }: Asked,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  await using reader = source.openReader();
  const findings = await reader.preflight(signal).catch((error: unknown) => [findingOf('source', error)]);
  const errors = findings.filter(({ level }) => level === 'error');
  // There is nobody to ask more of.
  if (errors.some(({ check }) => UNREACHED.has(check))) return findings;
  const known = state?.has(POSITION_KEY) === true;
  const looked = await look(source, reader, { settings, state, known }, signal).catch((error: unknown) => [
    findingOf('source', error),
  ]);
  // What the checks have said already, with more of what to do.
  const more = looked.filter(({ code }) => code === undefined || !errors.some((each) => each.code === code));
  const missing = errors.some(({ code }) => code === 'settings.no-table-matches');
  const others = findings.some(
    ({ check, code }) => check === 'tables' && code !== 'settings.no-table-matches',
  );
  return [...(missing && others && known ? findings.map(asGone) : findings), ...more];
}

/** Checks of a preflight that stand for the connection itself, or for all that could not be asked over it. */
const UNREACHED: ReadonlySet<string> = new Set(['source', 'connection', 'checks']);

/** What `run` finds out on its way to the first record, by the same steps. */
async function look<P, S extends SourceInfo>(
  { block }: Source<P, S>,
  reader: Reader<P, S>,
  { settings, state, known }: Asked & { readonly known: boolean },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const tables = await reader.tables(signal, () => {});
  for (const message of idleSettings(
    settings,
    tables.map(({ id }) => id),
  )) {
    findings.push({ check: 'settings', level: 'warning', message });
  }
  const described = await reader.describe(signal);
  const found = { sourceBlock: block.schema, tables: described, state: state ?? new Map<string, string>() };
  for (const { table, error } of await misfitsOf(settings, found, signal)) {
    const finding = findingOf('settings', error);
    // A pipeline that has a checkpoint goes on without the table.
    findings.push(known && table !== null ? { ...finding, level: 'warning' } : finding);
  }
  if (state !== null) {
    const { position, identity } = readCheckpoint(state, reader.codec);
    const stored = position === null ? null : { position, identity };
    const intent = position === null ? identity : null;
    await reader.examine({ stored, intent, state }, signal).catch((error: unknown) => {
      const finding = findingOf('log', error);
      // By the daemon that runs it, most likely; the check of the slot has told.
      if (stored === null || finding.code !== 'source.slot-in-use') findings.push(finding);
    });
  }
  return findings;
}

/** A pipeline with a checkpoint goes on without a table that was dropped. */
function asGone(finding: Finding): Finding {
  if (finding.code !== 'settings.no-table-matches') return finding;
  const { check, message } = finding;
  return { check, level: 'warning', message, fix: 'Take it out of source.tables if it is gone for good.' };
}

async function checkSink(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  const { sink } = settings.emit;
  switch (sink.kind) {
    case 'kafka': {
      const { checkKafka } = await import('../emitter/sinks/kafka/check-kafka.ts');
      try {
        const topicNames = await topicNamesOf(settings, signal);
        return await checkKafka({ ...kafkaOptions(settings, sink), topicNames }, signal);
      } catch (error) {
        return [findingOf('sink', error)];
      }
    }
    case 'file':
      return [await checkDirectory('sink', sink.path)];
    case 'stdout':
      return [await checkDirectory('state', settings.stateDir)];
  }
}

async function checkRegistry({ emit }: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  const { registry, format } = emit;
  if (registry === null) return [];
  try {
    const client = await registryClient(registry, SILENT);
    await client.check(signal);
    return [{ check: 'registry', level: 'ok', message: `The schema registry answers; format ${format}.` }];
  } catch (error) {
    return [findingOf('registry', error)];
  }
}

/** As far as the source can be asked: without it the cluster alone is checked. */
async function topicNamesOf(settings: Settings, signal: AbortSignal): Promise<readonly string[]> {
  await using reader = await openReader(settings, SILENT);
  const tables = await reader.tables(signal, () => {}).catch(() => []);
  return topicsOf(
    settings,
    tables.map(({ id }) => id),
  );
}

/** Creates nothing: what does not exist yet is judged by the nearest directory that does. */
async function checkDirectory(check: string, path: string): Promise<Finding> {
  let nearest = path;
  for (;;) {
    try {
      await access(nearest, constants.W_OK | constants.X_OK);
      return { check, level: 'ok', message: `Directory ${path} can be written to.` };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const parent = dirname(nearest);
      if (code === 'ENOENT' && parent !== nearest) {
        nearest = parent;
        continue;
      }
      return {
        check,
        level: 'error',
        message: `Directory ${path} cannot be written to: ${message}.`,
        fix: 'Create it and make it writable for the user Headwater runs as.',
        code: 'delivery.disk',
      };
    }
  }
}

function findingOf(check: string, thrown: unknown): Finding {
  const error = asHeadwaterError(thrown);
  return { check, level: 'error', message: error.message, fix: error.advice, code: error.code };
}

/** What `run` would say to do, where the check knows nothing more exact. */
function withAdvice(finding: Finding): Finding {
  if (finding.level !== 'error' || finding.fix !== undefined || finding.code === undefined) return finding;
  return { ...finding, fix: entryOf(finding.code).advice };
}
