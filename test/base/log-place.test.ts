import { describe, expect, test } from '@jest/globals';
import { isReached } from '../../src/base/log-place.ts';

describe('a place in a log', () => {
  test.each([
    ['the same place', { generation: 3, position: 7 }, true],
    ['a later one', { generation: 3, position: 8 }, true],
    ['an earlier one', { generation: 3, position: 6 }, false],
    ['an earlier one of a log written anew since', { generation: 4, position: 1 }, true],
    ['a later one of the log before', { generation: 2, position: 900 }, false],
  ])('is reached, or not, at %s', (_, at, expected) => {
    expect(isReached(at, { generation: 3, position: 7 })).toBe(expected);
  });
});
