import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { entryOf } from '../errors/catalogue.ts';
import { asHeadwaterError } from '../errors/headwater-error.ts';
import { SILENT } from '../observability/log.ts';
import type { Finding } from '../readers/reader.ts';
import type { Settings } from '../settings/settings.ts';
import { registryClient } from './encodings.ts';
import { readOffsets } from './offsets.ts';
import { topicsOf } from './topics.ts';
import { kafkaOptions } from './sinks.ts';
import { openReader } from './sources/source.ts';

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
  await using reader = await openReader(settings, SILENT);
  try {
    const findings = await reader.preflight(signal);
    const gone = findings.some(({ code }) => code === 'settings.no-table-matches');
    const others = findings.some(
      ({ check, code }) => check === 'tables' && code !== 'settings.no-table-matches',
    );
    return gone && others && (await hasRun(settings, signal)) ? findings.map(asGone) : findings;
  } catch (error) {
    return [findingOf('source', error)];
  }
}

/** A sink that cannot be asked is told of by its own check. */
async function hasRun(settings: Settings, signal: AbortSignal): Promise<boolean> {
  const offsets = await readOffsets(settings, signal).catch(() => null);
  return offsets !== null && offsets.position !== null;
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
