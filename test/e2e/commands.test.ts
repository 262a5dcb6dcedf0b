/** What every command has: help with an example, options that are described, JSON where it prints data. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/cli.ts';
import { headwater } from './headwater.ts';

const NAMES = COMMANDS.map(({ usage }) => usage.split(' ')[0]!);
/** What these print is not data about anything, or is JSON as it is. */
const WITHOUT_JSON = new Set(['demo', 'settings', 'completion']);

describe.each(NAMES)('%s', (name) => {
  test('explains itself by an example', async () => {
    const { exit, stdout, stderr } = await headwater([name, '--help']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    const [usage] = stdout.split('\n');
    expect(usage).toBe(`headwater ${COMMANDS.find((each) => each.usage.split(' ')[0] === name)!.usage}`);
    const examples = stdout.slice(stdout.indexOf('Examples:'));
    expect(examples).toMatch(new RegExp(`^ {2}headwater ${name}\\b`, 'm'));
    const options = stdout.slice(stdout.indexOf('Options:'), stdout.indexOf('Examples:'));
    for (const line of options.split('\n').filter((each) => each.startsWith('  -')))
      expect(line, 'an option is described').toMatch(/^ {2}(?:-\w, )?--\S+ {2,}\S/);
    expect(options.includes('--json')).toBe(!WITHOUT_JSON.has(name));
  });

  test('is listed with what it does', async () => {
    const { stdout } = await headwater(['--help']);
    expect(stdout).toMatch(new RegExp(`^ {2}headwater ${name}( .*)? {2,}\\S`, 'm'));
  });
});

async function candidates(...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await headwater(['--get-yargs-completions', 'headwater', ...words], {
    SHELL: '/bin/bash',
  });
  return stdout.split('\n').filter((line) => line !== '');
}

test('commands and options are completed', async () => {
  expect(await candidates('')).toEqual(expect.arrayContaining(NAMES));
  expect(await candidates('snapshot', '--')).toEqual(
    expect.arrayContaining(['--where', '--pause', '--json']),
  );
});

test.each(['bash', 'zsh', 'fish'])('the script for %s asks for them', async (shell) => {
  const { exit, stdout } = await headwater(['completion', shell]);
  expect(exit).toBe(0);
  expect(stdout).toContain('headwater --get-yargs-completions');
  expect(stdout.includes('#compdef')).toBe(shell === 'zsh');
});

test('bash takes its script', async () => {
  const { stdout } = await headwater(['completion', 'bash']);
  const bash = spawn('bash', ['-c', `${stdout}\ncomplete -p headwater`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  bash.stdout.on('data', (part) => (text += String(part)));
  expect((await once(bash, 'close'))[0]).toBe(0);
  expect(text).toContain('_headwater_yargs_completions headwater');
});
