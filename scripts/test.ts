/**
 * The test command: check, build, audit, then the suites through vitest. Ends with the line `N passed, N failed` (and
 * `, N skipped`), whatever happens, and with an exit code that says the same.
 *
 *     node scripts/test.ts [--full] [suite …]       suites: fast integration crash
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestCounts } from '../test/support/reporter.ts';

/** A pinned download could not be fetched. */
const DOWNLOAD_FAILED_EXIT = 75;
/** scripts/audit.ts got no answer, and has said so. */
const NOT_AUDITED_EXIT = 75;

const root = resolve(import.meta.dirname, '..');
const suites = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const full = process.argv.includes('--full');
const scratch = mkdtempSync(join(tmpdir(), 'headwater-test-'));
const countsFile = join(scratch, 'counts.json');

// An interrupt is vitest's to handle: it stops the servers. We wait for it, and report. A terminal sends SIGINT to
// both of us; SIGTERM comes to us alone and is passed on.
let current: ChildProcess | null = null;
process.on('SIGINT', () => {});
process.on('SIGTERM', () => current?.kill('SIGTERM'));

const total: TestCounts = { passed: 0, failed: 0, skipped: 0, downloadFailed: false };
for (const script of ['check', 'build']) {
  if (await succeeds('npm', ['run', '--silent', script])) continue;
  process.stderr.write(`npm run ${script} failed.\n`);
  total.failed++;
}
const audited = await exitOf('npm', ['run', '--silent', 'audit']);
if (audited !== 0 && audited !== NOT_AUDITED_EXIT) {
  process.stderr.write('npm run audit failed.\n');
  total.failed++;
}
const vitest = ['run', '--passWithNoTests', ...suites.flatMap((suite) => ['--project', suite])];
const succeeded = await succeeds('vitest', vitest);
const counts = readCounts();
if (counts === null) {
  process.stderr.write('vitest ended without a result.\n');
  total.failed++;
} else {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  total.downloadFailed = counts.downloadFailed;
  if (!succeeded && counts.failed === 0) {
    process.stderr.write('vitest failed, though no test did: see above.\n');
    total.failed++;
  }
}
rmSync(scratch, { recursive: true, force: true });
if (total.failed > 0) process.exitCode = total.downloadFailed ? DOWNLOAD_FAILED_EXIT : 1;
if (total.downloadFailed) process.stderr.write('A server could not be downloaded: see above.\n');
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed${skipped}\n`);

async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return (await exitOf(command, args)) === 0;
}

/**
 * Null where it could not be started, or was ended by a signal. npm has put node_modules/.bin first on the PATH, so
 * `vitest` is ours and runs on the project's own Node.
 */
async function exitOf(command: string, args: readonly string[]): Promise<number | null> {
  const env: NodeJS.ProcessEnv = { ...process.env, HEADWATER_TEST_COUNTS: countsFile };
  env['PATH'] = `${join(root, 'node_modules/.bin')}:${env['PATH'] ?? ''}`;
  if (full) env['HEADWATER_TEST_FULL'] = '1';
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env });
  current = child;
  return new Promise((settle) => {
    child.once('error', () => settle(null));
    child.once('exit', (code) => settle(code));
  });
}

function readCounts(): TestCounts | null {
  try {
    return JSON.parse(readFileSync(countsFile, 'utf8')) as TestCounts;
  } catch {
    return null;
  }
}
