import { describe, expect, test } from '@jest/globals';
import { famfs } from '../support/command-line.ts';

const COMMON = ['controller', '--endpoint', '/tmp/never.sock', '--pool', 'p=/dev/never'];

describe('famfs-csi controller', () => {
  test.each([
    [[], '--state-dir: missing; give it, or --kubernetes in a cluster'],
    [
      ['--kubernetes', '--state-dir', '/tmp'],
      '--state-dir: found together with --kubernetes, which knows; leave it',
    ],
    [
      ['--kubernetes', '--node', 'a'],
      '--node: found together with --kubernetes, which knows; leave it',
    ],
    [
      ['--kubernetes'],
      '--kubernetes: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set; run in a pod with a ' +
        'service account, or name a kubeconfig file in KUBECONFIG',
    ],
    [
      ['--kubernetes', '--pool', 'My_Pool=/dev/x'],
      'pool "My_Pool": with --kubernetes a pool\'s name has at most 42 of a-z, 0-9 and "-"',
    ],
  ])('with %j says what is wrong', (options, expected) => {
    const ran = famfs([...COMMON, ...options]);
    expect(ran.stderr).toBe(`famfs-csi: ${expected}\n`);
    expect(ran.status).not.toBe(0);
  });
});
