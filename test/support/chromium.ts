import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Its path: TEST_CHROMIUM, or one on the PATH; null where there is none. */
export async function findChromium(): Promise<string | null> {
  const named = process.env['TEST_CHROMIUM'];
  if (named !== undefined) return named;
  const dirs = (process.env['PATH'] ?? '').split(delimiter);
  for (const path of dirs.flatMap((dir) => COMMANDS.map((command) => join(dir, command)))) {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return null;
}

export async function startChromium(): Promise<Browser> {
  const executablePath = await findChromium();
  if (executablePath === null)
    throw new Error('There is no Chromium, and this file should have been left out.');
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  return await chromium.launch({ executablePath, args, timeout: 60_000 });
}
