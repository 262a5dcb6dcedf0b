import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { failedBy } from '../../src/readers/finding.ts';

test('what a check threw is a finding where it is an error of ours, and else a bug that goes on', () => {
  const error = new HeadwaterError('source.unreachable', 'Nobody answers.', { fix: 'Start it.' });
  expect(failedBy(error, 'connection')).toEqual({
    check: 'connection',
    level: 'error',
    code: 'source.unreachable',
    message: 'Nobody answers.',
    fix: 'Start it.',
  });
  const bug = new TypeError('a bug');
  expect(() => failedBy(bug, 'connection')).toThrow(bug);
});
