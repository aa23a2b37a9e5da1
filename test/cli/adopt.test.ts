import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Mapping } from '../../src/native/mapping.ts';
import { systemUuid } from '../../src/pool/identity.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { famfs, famfsJson } from '../support/command-line.ts';
import { testHost, writerOf } from '../support/log-writer.ts';
import { Scratch } from '../support/scratch.ts';

const OTHER_SYSTEM = '77777777-7777-4777-8777-777777777777';
/** As written by mkfs, and by `otherHost`: a volume of the other host. */
const VOLUME = { type: 'mkdir', path: 'theirs', uid: 0, gid: 0, mode: 0o755 } as const;

let scratch: Scratch;
let device: string;

/** Another host writes the log, and then stops, or is never heard of again. */
function otherHost(end: 'stops' | 'vanishes'): void {
  using memory = Mapping.open(device, { writable: true });
  const writer = writerOf(new LogFollower(memory), { host: testHost(7) });
  writer.appendHeld(() => ({ entries: [VOLUME], result: undefined }));
  if (end === 'stops') writer.closeHeld();
}

function refusal(...args: string[]): string {
  const { status, stderr } = famfs(args);
  expect(status).toBe(1);
  return stderr;
}

beforeEach(() => {
  scratch = new Scratch('/dev/shm');
  device = scratch.join('pool');
  expect(famfs(['mkfs', '--size', '64M', device]).status).toBe(0);
});

afterEach(() => scratch[Symbol.dispose]());

describe('famfs-csi adopt', () => {
  test('gives this host the log of one that stopped, and nothing less does', () => {
    otherHost('stops');
    const refused = 'host host 7 writes its log';
    expect(refusal('mkdir', device, 'mine')).toContain(refused);
    expect(refusal('compact', device)).toContain(refused);
    expect(famfsJson(['adopt', device])).toEqual({
      ...{ before: 'host 7', master: systemUuid(), masterBefore: null },
      ...{ unfenced: [], generation: 0 },
    });
    expect(famfs(['mkdir', device, 'mine']).status).toBe(0);
    expect(famfsJson(['check', device])).toMatchObject({ problems: [], directories: 2 });
  });

  test('keeps away from where one may still write that was never heard of again', () => {
    otherHost('vanishes');
    expect(famfsJson(['adopt', device])).toMatchObject({ unfenced: ['host 7'] });
    expect(famfs(['mkdir', device, 'mine']).status).toBe(0);
    expect(famfsJson(['check', device])).toMatchObject({ problems: [], log: { entries: 67 } });
    expect(refusal('compact', device)).toContain('host 7 wrote it before and may still do so');
    expect(famfsJson(['adopt', '--fenced', device])).toMatchObject({ before: null, unfenced: [] });
    expect(famfsJson(['compact', device])).toMatchObject({ entriesBefore: 67, entries: 3 });
    expect(famfsJson(['check', device])).toMatchObject({ problems: [], directories: 2 });
  });

  test('makes this the master of a pool that has another, as nothing else does', () => {
    const theirs = ['--system-uuid', OTHER_SYSTEM];
    expect(refusal('mkdir', device, 'a', ...theirs)).toMatch(/its master is .*"famfs-csi adopt/);
    expect(famfsJson(['adopt', device, ...theirs])).toMatchObject({
      ...{ before: null, master: OTHER_SYSTEM, masterBefore: systemUuid() },
    });
    expect(famfs(['mkdir', device, 'a', ...theirs]).status).toBe(0);
    expect(refusal('mkdir', device, 'b')).toContain(`its master is ${OTHER_SYSTEM}`);
    expect(famfsJson(['check', device])).toMatchObject({ problems: [], directories: 1 });
  });
});
