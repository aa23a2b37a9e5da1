import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { bindMount, mountsAt, readMountInfo, unmount } from '../../src/native/mounts.ts';
import { codeThrownBy } from '../support/caught.ts';
import { compile } from '../support/compile.ts';
import { LinePeer } from '../support/line-peer.ts';
import { fuse, testUnless } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

const PROGRAMS = join(__dirname, 'programs');
const MOUNTS = join(__dirname, '..', '..', 'dist', 'native', 'mounts.js');
const ROUNDS = 100;
/** Enough for a writable moment of a microsecond to be met many times. */
const REFUSALS = 300;

interface Outcome {
  readonly value?: unknown;
  readonly code?: string;
  readonly cause?: string;
  readonly message?: string;
}

let programs: Scratch;
let scratch: Scratch;
let source: string;
let target: string;

beforeAll(() => {
  programs = new Scratch();
  mkdirSync(hidden());
  for (const name of ['refuse-calls', 'open-for-writing']) {
    compile(programs.join(name), [join(PROGRAMS, `${name}.c`)], ['-O2']);
  }
});

afterAll(() => programs[Symbol.dispose]());

beforeEach(() => {
  scratch = new Scratch();
  source = scratch.join('source');
  target = scratch.join('target');
  mkdirSync(source);
  mkdirSync(target);
  writeFileSync(join(source, 'file'), 'from the source');
});

afterEach(() => scratch[Symbol.dispose]());

/** A process, whose kernel lacks these system calls, that makes calls for the test. */
function startCaller(refused: readonly string[]): LinePeer {
  const command = [process.execPath, join(PROGRAMS, 'mount-calls.mjs'), MOUNTS];
  const args = [...refused, '--', ...command];
  return new LinePeer(programs.join('refuse-calls'), args, { ...process.env, TMPDIR: hidden() });
}

const write = (path: string) => codeThrownBy(() => writeFileSync(path, 'through the mount'));
/** Where a kernel without the new calls needs a directory for a moment. */
const hidden = () => programs.join('hidden');

describe.each([
  ['of today', []],
  ['before 5.12', ['mount_setattr']],
  ['before 5.2', ['mount_setattr', 'open_tree', 'fsopen']],
])('on a kernel %s', (_, refused) => {
  let caller: LinePeer;

  beforeAll(() => {
    caller = startCaller(refused);
  });

  afterAll(() => caller.kill());

  const call = async (...words: unknown[]) => {
    return JSON.parse(await caller.ask(JSON.stringify(words))) as Outcome;
  };
  const bind = (readOnly: boolean) => call('bindMount', { source, target, readOnly });

  test('a bind mount shows the source, and what is written through it is there', async () => {
    expect(await bind(false)).toEqual({});
    expect(readFileSync(join(target, 'file'), 'utf8')).toBe('from the source');
    expect(write(join(target, 'new'))).toBeUndefined();
    expect(readFileSync(join(source, 'new'), 'utf8')).toBe('through the mount');
  });

  test('a read-only one refuses every write, and leaves the source as it was', async () => {
    expect(await bind(true)).toEqual({});
    expect(write(join(target, 'file'))).toBe('EROFS');
    expect(write(join(target, 'new'))).toBe('EROFS');
    expect(readFileSync(join(target, 'file'), 'utf8')).toBe('from the source');
    expect(write(join(source, 'file'))).toBeUndefined();
    expect(mountsAt(target).map(({ options }) => options[0])).toEqual(['ro']);
    expect(readdirSync(hidden())).toEqual([]);
  });

  test('a read-only one is never writable, not even for a moment', async () => {
    await using opener = new LinePeer(programs.join('open-for-writing'), [join(target, 'file')]);
    let counted = { refused: 0, opened: 0 };
    // The other process has to come across the mount often, however the two are scheduled.
    while (counted.refused < REFUSALS && counted.opened === 0) {
      const options = { source, target, readOnly: true };
      expect(await call('bindAndUnmount', options, ROUNDS)).toEqual({});
      counted = JSON.parse(await opener.ask('count')) as typeof counted;
    }
    expect(counted.opened).toBe(0);
    expect(readdirSync(hidden())).toEqual([]);
  });

  test('a read-only one keeps what else its source may not do', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,noexec', 'none', source]);
    expect(await bind(true)).toEqual({});
    expect(mountsAt(target).at(-1)?.options).toEqual(
      expect.arrayContaining(['ro', 'nosuid', 'nodev', 'noexec']),
    );
  });

  test.each([true, false])(
    'a target that is a symbolic link is refused, read-only: %s',
    async (ro) => {
      const link = scratch.join('link');
      symlinkSync(target, link);
      const outcome = await call('bindMount', { source, target: link, readOnly: ro });
      expect(outcome).toMatchObject({ code: 'IO', cause: 'ENOTDIR' });
      expect(mountsAt(target)).toEqual([]);
    },
  );

  test.each([true, false])(
    'a source that is a symbolic link is refused, read-only: %s',
    async (ro) => {
      const link = scratch.join('link');
      symlinkSync(source, link);
      const outcome = await call('bindMount', { source: link, target, readOnly: ro });
      expect(outcome).toMatchObject({ code: 'IO', message: expect.stringContaining(link) });
      expect(mountsAt(target)).toEqual([]);
      expect(readdirSync(hidden())).toEqual([]);
    },
  );

  test('a missing source or target is NOT_FOUND and names both', async () => {
    const gone = scratch.join('gone');
    for (const paths of [
      { source: gone, target },
      { source, target: gone },
    ]) {
      expect(await call('bindMount', { ...paths, readOnly: true })).toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining(`${paths.source} at ${paths.target}: ENOENT`),
      });
    }
    expect(readdirSync(hidden())).toEqual([]);
  });

  testUnless(fuse())(
    'a FUSE mount is what was asked for, and its target no symbolic link',
    async () => {
      const link = scratch.join('link');
      symlinkSync(target, link);
      const options = {
        source: 'p',
        subtype: 'famfs',
        allowOther: true,
        defaultPermissions: false,
      };
      const made = await call('mountFuse', { ...options, target });
      const followed = await call('mountFuse', { ...options, target: link });
      expect(made.value).toEqual([
        expect.objectContaining({
          fsType: 'fuse.famfs',
          source: 'p',
          options: expect.arrayContaining(['rw', 'nosuid', 'nodev']),
          superOptions: expect.arrayContaining(['allow_other']),
        }),
      ]);
      expect(JSON.stringify(made.value)).not.toContain('default_permissions');
      expect(followed).toMatchObject({ code: 'IO', cause: 'ENOTDIR' });
      expect(mountsAt(target)).toEqual([]);
    },
  );
});

describe('unmount', () => {
  const codeOfUnmount = (path: string, detach = false) =>
    codeThrownBy(() => unmount(path, detach ? { detach } : {}));

  test('says NOT_FOUND where nothing is mounted, and where there is nothing', () => {
    expect(codeOfUnmount(target)).toBe('NOT_FOUND');
    expect(codeOfUnmount(target, true)).toBe('NOT_FOUND');
    expect(codeOfUnmount(scratch.join('gone'))).toBe('NOT_FOUND');
  });

  test('says BUSY while a file of the mount is open, and leaves it; detach takes it away', () => {
    bindMount({ source, target, readOnly: false });
    const fd = openSync(join(target, 'file'), 'r');
    try {
      expect(codeOfUnmount(target)).toBe('BUSY');
      expect(mountsAt(target).length).toBe(1);
      expect(codeOfUnmount(target, true)).toBeUndefined();
      expect(readdirSync(target)).toEqual([]);
      expect(readFileSync(fd, 'utf8')).toBe('from the source');
    } finally {
      closeSync(fd);
    }
  });

  test('takes only the topmost of several mounts', () => {
    bindMount({ source, target, readOnly: false });
    bindMount({ source, target, readOnly: true });
    expect(mountsAt(target).map(({ options }) => options[0])).toEqual(['rw', 'ro']);
    unmount(target);
    expect(mountsAt(target).map(({ options }) => options[0])).toEqual(['rw']);
  });

  test('does not follow a symbolic link', () => {
    const link = scratch.join('link');
    symlinkSync(target, link);
    bindMount({ source, target, readOnly: false });
    expect(codeOfUnmount(link)).toBe('NOT_FOUND');
    expect(codeOfUnmount(link, true)).toBe('NOT_FOUND');
    expect(mountsAt(target).length).toBe(1);
  });
});

describe('mountinfo', () => {
  test.each([
    'with blank',
    'tab\tnewline\nback\\slash',
    'literal \\040 octal',
    '#ä☃',
    '-',
    'a - b',
  ])('lists a mount at %j under its own name', (name) => {
    const odd = scratch.join(name);
    mkdirSync(odd);
    bindMount({ source, target: odd, readOnly: false });
    expect(mountsAt(odd)).toEqual([expect.objectContaining({ mountPoint: odd })]);
  });

  test('is read field by field, optional fields or none', () => {
    const line =
      '36 35 98:0 /a\\040b /mnt\\0112 rw,noatime shared:1 master:2 ' +
      '- fuse.famfs the\\134pool rw,fd=3';
    const bare = '37 36 0:42 / / ro - tmpfs  rw';
    expect(readMountInfo(`${line}\n${bare}\n`)).toEqual([
      {
        mountId: 36,
        parentId: 35,
        device: '98:0',
        root: '/a b',
        mountPoint: '/mnt\t2',
        options: ['rw', 'noatime'],
        fsType: 'fuse.famfs',
        source: 'the\\pool',
        superOptions: ['rw', 'fd=3'],
      },
      expect.objectContaining({ mountPoint: '/', options: ['ro'], source: '', fsType: 'tmpfs' }),
    ]);
  });

  test('that is none is refused with the line', () => {
    expect(() => readMountInfo('36 35 98:0 / /mnt rw\n')).toThrow('"36 35 98:0 / /mnt rw"');
  });
});
