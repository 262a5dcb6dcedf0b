/**
 * Asks the package registry for known vulnerabilities of what ships, names those from `high` on, and says what it did.
 *
 *     node scripts/audit.ts [--registry URL]
 *
 * Ends with 0 where there is none, with 1 where there is one, and with 75 where the registry gave no answer: there is no
 * network, or it is a mirror without advisories. That is then no verdict, and the test command goes on without one.
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const NO_ANSWER_EXIT = 75;
const REQUEST_TIMEOUT_MS = 10_000;
/** Of npm as a whole, should it not keep to its own limit. */
const TIMEOUT_MS = 60_000;
const SEVERE = ['high', 'critical'];

interface Report {
  readonly vulnerabilities: Readonly<Record<string, { readonly severity: string }>>;
  readonly metadata: { readonly dependencies: { readonly prod: number } };
}

const { values } = parseArgs({ options: { registry: { type: 'string' } } });
const answer = await ask(values.registry);
const report = reportOf(answer);
if (report === null) {
  process.stderr.write(`NOT AUDITED: the package registry gave no answer${reasonIn(answer)}.\n`);
  process.exitCode = NO_ANSWER_EXIT;
} else {
  const found = Object.entries(report.vulnerabilities);
  const severe = found.filter(([, { severity }]) => SEVERE.includes(severity));
  for (const [name, { severity }] of severe)
    process.stderr.write(`${name}: ${severity}; npm audit says more\n`);
  const { prod } = report.metadata.dependencies;
  process.stdout.write(
    `Audited ${prod} packages that ship: ${severe.length} with a vulnerability from high on, ${found.length - severe.length} with a lesser one.\n`,
  );
  if (severe.length > 0) process.exitCode = 1;
}

async function ask(registry: string | undefined): Promise<string> {
  const limits = [`--fetch-timeout=${REQUEST_TIMEOUT_MS}`, '--fetch-retries=0'];
  const from = registry === undefined ? [] : [`--registry=${registry}`];
  const npm = spawn('npm', ['audit', '--omit=dev', '--json', ...limits, ...from], {
    cwd: resolve(import.meta.dirname, '..'),
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TIMEOUT_MS,
  });
  npm.once('error', () => {});
  return text(npm.stdout);
}

function reportOf(json: string): Report | null {
  const value = parse(json);
  return value !== null && 'vulnerabilities' in value && 'metadata' in value ? (value as Report) : null;
}

function reasonIn(json: string): string {
  const value = parse(json);
  return value !== null && 'statusCode' in value ? ` (HTTP ${String(value.statusCode)})` : '';
}

function parse(json: string): object | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
