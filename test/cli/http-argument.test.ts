import { describe, expect, test } from '@jest/globals';
import { httpArgument } from '../../src/cli/options.ts';
import { caught } from '../support/caught.ts';

describe('--http', () => {
  test.each([
    ['127.0.0.1:9808', '127.0.0.1', 9808],
    ['[::1]:9808', '::1', 9808],
    [':9808', undefined, 9808],
    ['localhost:0', 'localhost', 0],
  ])('takes %s', (text, host, port) => {
    expect(httpArgument(text)).toEqual({ host, port });
  });

  test.each(['', '9808', '127.0.0.1', ':x', ':65536', '::1:80', 'a b:80', '[::1]', ':123456'])(
    'refuses "%s", and says what it expects',
    (text) => {
      expect(caught(() => httpArgument(text)).message).toBe(
        `found "${text}", expected HOST:PORT or :PORT, as in :9808`,
      );
    },
  );
});
