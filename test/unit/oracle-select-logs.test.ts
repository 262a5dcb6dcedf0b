/** Which log files a mining session takes, and whether they are whole. */
import { describe, expect, test } from 'vitest';
import type { LogFile, RedoThread } from '../../src/readers/oracle/logs/log-files.ts';
import { beginsLate, capVolume, findGap, oneOfEach } from '../../src/readers/oracle/logs/select-logs.ts';

const thread = (more: Partial<RedoThread> = {}): RedoThread => ({
  thread: 1,
  open: true,
  enabled: 'PUBLIC',
  checkpoint: 0n,
  enabledAt: 1n,
  disabledAt: 0n,
  last: null,
  ...more,
});

/** Sequence n holds the SCNs from n * 100 to n * 100 + 99. */
const log = (sequence: number, more: Partial<LogFile> = {}): LogFile => ({
  name: `${sequence}`,
  first: BigInt(sequence * 100),
  next: BigInt(sequence * 100 + 100),
  thread: 1,
  sequence,
  bytes: 10,
  destination: 'A',
  ...more,
});
const current = (sequence: number, more: Partial<LogFile> = {}): LogFile =>
  log(sequence, { next: null, destination: null, ...more });

describe('one copy of each log', () => {
  test('an archived one before the online one, and of archived ones by the order of the destinations', () => {
    const online = current(5, { name: 'online' });
    const [a, b] = [log(5, { name: 'a' }), log(5, { name: 'b', destination: 'B' })];
    const chosen = (files: readonly LogFile[], destinations: readonly string[]): readonly string[] =>
      oneOfEach(files, destinations).map(({ name }) => name);
    expect(chosen([online, a, b], ['A', 'B'])).toEqual(['a']);
    expect(chosen([b, a, online], ['A', 'B'])).toEqual(['a']);
    expect(chosen([a, b], ['B', 'A'])).toEqual(['b']);
  });

  test('in the order of threads and sequences', () => {
    const files = [log(7), log(6, { thread: 2 }), log(6)];
    expect(oneOfEach(files, ['A']).map(({ thread: of, sequence }) => [of, sequence])).toEqual([
      [1, 6],
      [1, 7],
      [2, 6],
    ]);
  });
});

describe('whether logs are whole from SCN 250 on', () => {
  const gap = (files: readonly LogFile[], of: RedoThread, resumed: readonly number[] = []): string | null =>
    findGap(files, [of], { start: 250n, resumed: new Set(resumed) })?.reason ?? null;

  test.each<[string, readonly LogFile[], RedoThread, string | null]>([
    ['an open thread', [log(2), current(3)], thread(), null],
    ['an open thread without a log', [], thread(), 'thread 1: there is no log of it'],
    ['a hole', [log(2), current(4)], thread(), 'thread 1: sequence 3 is missing'],
    [
      'the first is missing',
      [log(3), current(4)],
      thread(),
      'thread 1: the log before sequence 3 is missing',
    ],
    ['a thread that was enabled later', [log(3), current(4)], thread({ enabledAt: 300n }), null],
    [
      'a thread that was enabled later, and began before its first log',
      [log(4), current(5)],
      thread({ enabledAt: 300n }),
      'thread 1: the log before sequence 4 is missing',
    ],
    ['a private thread', [], thread({ enabled: 'PRIVATE' }), null],
    ['a closed thread that ended before', [], thread({ open: false, checkpoint: 249n }), null],
    [
      'a closed thread that ended behind, without any log',
      [],
      thread({ open: false, checkpoint: 260n }),
      null,
    ],
    [
      'a closed thread with a hole behind its end, which is nobody’s',
      [log(2), log(4)],
      thread({ open: false, checkpoint: 299n }),
      null,
    ],
    [
      'a closed thread with a hole before its end',
      [log(2), log(4)],
      thread({ open: false, checkpoint: 450n }),
      'thread 1: sequence 3 is missing',
    ],
    ['a thread that was never enabled', [log(4)], thread({ enabled: 'DISABLED' }), null],
    ['a thread that was disabled before', [log(4)], thread({ enabled: 'DISABLED', disabledAt: 240n }), null],
    [
      'a thread that was disabled behind, and is there up to then',
      [log(2), log(3)],
      thread({ enabled: 'DISABLED', disabledAt: 350n }),
      null,
    ],
    [
      'a thread that was disabled behind, and has a hole before',
      [log(2), log(4)],
      thread({ enabled: 'DISABLED', disabledAt: 450n }),
      'thread 1: sequence 3 is missing',
    ],
    [
      'a thread that was disabled behind, and begins late',
      [log(3)],
      thread({ enabled: 'DISABLED', disabledAt: 350n }),
      'thread 1: the log before sequence 3 is missing',
    ],
  ])('%s', (_, files, of, reason) => {
    expect(gap(files, of)).toBe(reason);
  });

  test('a thread that was closed for a while: what is missing ended before', () => {
    expect(gap([log(3), current(4)], thread(), [1])).toBeNull();
    expect(gap([log(3), current(5)], thread(), [1])).toBe('thread 1: sequence 4 is missing');
  });

  test('only the threads whose first log is late are asked about', () => {
    expect(beginsLate([log(3)], thread(), 250n)).toBe(true);
    expect(beginsLate([log(2)], thread(), 250n)).toBe(false);
    expect(beginsLate([], thread(), 250n)).toBe(false);
    expect(beginsLate([log(3)], thread({ enabled: 'PRIVATE' }), 250n)).toBe(false);
    expect(beginsLate([log(3)], thread({ open: false, checkpoint: 249n }), 250n)).toBe(false);
  });

  test('the first thread that is not whole is named', () => {
    const files = [current(2), log(3, { thread: 2 })];
    const threads = [thread(), thread({ thread: 2 })];
    expect(findGap(files, threads, { start: 250n, resumed: new Set() })).toEqual({
      reason: 'thread 2: the log before sequence 3 is missing',
    });
  });
});

describe('how many logs a session takes', () => {
  const taken = (
    files: readonly LogFile[],
    bytes: number,
    extra = 0,
  ): readonly [readonly string[], bigint | null] => {
    const { files: some, upTo } = capVolume(files, { bytes, extra });
    return [some.map(({ thread: of, sequence }) => `${of}.${sequence}`), upTo];
  };
  const [first, second] = [
    [log(1), log(2), current(3)],
    [
      log(1, { thread: 2, next: 150n }),
      log(2, { thread: 2, first: 150n }),
      current(3, { thread: 2, first: 155n }),
    ],
  ];

  test('all where they are small', () => {
    expect(taken(first, 100)).toEqual([['1.1', '1.2', '1.3'], null]);
  });

  test('one at least; mining ends before the first that is left out', () => {
    expect(taken(first, 0)).toEqual([['1.1'], 199n]);
    expect(taken(first, 11)).toEqual([['1.1', '1.2'], 299n]);
  });

  test('more on request', () => {
    expect(taken(first, 0, 1)).toEqual([['1.1', '1.2'], 299n]);
    expect(taken(first, 0, 9)).toEqual([['1.1', '1.2', '1.3'], null]);
  });

  test('of several threads the one that ends first decides, whichever comes first', () => {
    expect(taken([...first, ...second], 0)).toEqual([['1.1', '2.1'], 149n]);
    expect(taken([...second, ...first], 0)).toEqual([['2.1', '1.1'], 149n]);
  });
});
