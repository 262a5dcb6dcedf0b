/** Says at the end of a run what failed and what was left out, and hands the counts to scripts/test.ts. */
import { writeFileSync } from 'node:fs';
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';
import { leftOut } from './left-out.ts';

export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
  /** A pinned download could not be fetched. */
  downloadFailed: boolean;
}

/** vitest takes a reporter from a file by its default export. */
export default class HeadwaterReporter implements Reporter {
  async onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: TestRunEndReason,
  ): Promise<void> {
    const counts = countTests(modules);
    counts.failed += unhandled.length;
    if (reason === 'interrupted') counts.failed += 1;
    // Once more, briefly: the end of a log is what people are shown, and one long difference pushes the rest out of it.
    const failures = modules.flatMap((module) => [...failuresOf(module)]);
    for (const failure of [
      ...failures,
      ...unhandled.map((error) => `outside of a test: ${firstLines(error)}`),
    ])
      process.stderr.write(`\nFAILED: ${failure}\n`);
    for (const { pattern, reason: why } of await leftOut())
      process.stderr.write(`\nNOT TESTED: ${pattern} was left out. ${why}\n`);
    const file = process.env['HEADWATER_TEST_COUNTS'];
    if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
  }
}

function countTests(modules: readonly TestModule[]): TestCounts {
  const counts: TestCounts = {
    passed: 0,
    failed: 0,
    skipped: 0,
    downloadFailed: process.env['HEADWATER_TEST_DOWNLOAD_FAILED'] === '1',
  };
  for (const module of modules) {
    let failedTests = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed++;
      else if (state === 'failed') {
        failedTests++;
        counts.downloadFailed ||= test.result().errors?.some(isFailedDownload) ?? false;
      } else counts.skipped++;
    }
    counts.failed += failedTests;
    counts.downloadFailed ||= module.errors().some(isFailedDownload);
    // A file that does not load, or whose beforeAll throws, fails without a failed test.
    if (failedTests === 0 && module.state() === 'failed') counts.failed++;
  }
  return counts;
}

/** Each failed test of a file in a few lines, and the file itself where it failed without one. */
function* failuresOf(module: TestModule): Generator<string> {
  const file = module.relativeModuleId;
  for (const error of module.errors()) yield `${file}: ${firstLines(error)}`;
  for (const suite of module.children.allSuites())
    for (const error of suite.errors()) yield `${file} > ${suite.fullName}: ${firstLines(error)}`;
  for (const test of module.children.allTests('failed'))
    for (const error of test.result().errors ?? []) yield `${file} > ${test.fullName}: ${firstLines(error)}`;
}

function firstLines(error: SerializedError): string {
  const message = error.message.split('\n').slice(0, 5).join('\n').slice(0, 600);
  const at = error.stacks?.find(({ file }) => !file.includes('node_modules'));
  return at === undefined ? message : `${message}\n    at ${at.file}:${at.line}`;
}

/** A ServerUnavailable that came over from a worker, where it is data and no longer of that class. */
function isFailedDownload(error: SerializedError): boolean {
  return error.name === 'ServerUnavailable' && error['kind'] === 'download';
}
