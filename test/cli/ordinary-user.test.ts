import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { fuse, machineRoot, missingCommand, testUnless } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

/**
 * `famfs-csi demo` as somebody who may not mount, where it is refused; that it works where it can
 * is in test/system/demo.test.ts. Each run has mount and process namespaces of its own, where root
 * can arrange the machine as it likes: the repository where everybody can read it, and a /dev/fuse
 * with the rights that the story wants. When the run ends all of it is gone.
 */
const REPOSITORY = join(__dirname, '..', '..');
const NOBODY = 'setpriv --reuid 65534 --regid 65534 --clear-groups';
const DEMO = '$T/node $T/app/dist/main.js demo --size 64M --data $T/data';

const PREPARE = `
  set -e
  mount -t tmpfs -o mode=755 none $T
  mkdir -p $T/app $T/none
  for part in dist native node_modules csi src test; do
    mkdir $T/app/$part
    mount --bind ${REPOSITORY}/$part $T/app/$part
  done
  cp ${REPOSITORY}/package.json ${REPOSITORY}/jest.config.mjs $T/app
  touch $T/node
  mount --bind ${process.execPath} $T/node
  head -c 1000000 /dev/urandom >$T/data
  mknod $T/fuse c 10 229
  chmod $FUSE_MODE $T/fuse
  mount --bind $T/fuse /dev/fuse
  mount -t tmpfs -o mode=1777 none /dev/shm
  mkdir -m 1777 $T/tmp
  export TMPDIR=$T/tmp
  cd $T
  set +e
`;

const userTest = testUnless(
  machineRoot() ?? fuse() ?? missingCommand('unshare') ?? missingCommand('setpriv'),
);

let scratch: Scratch;

beforeAll(() => {
  scratch = new Scratch();
});

afterAll(() => scratch[Symbol.dispose]());

/** Runs the shell script on a machine that was prepared; what it wrote, and its exit code. */
function onMachine(script: string, fuseMode = '666') {
  const args = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
  const env = { ...process.env, T: scratch.path, FUSE_MODE: fuseMode };
  const command = [...args, '--mount-proc', 'sh', '-c', PREPARE + script];
  const options = { env, encoding: 'utf8', timeout: 50_000, killSignal: 'SIGKILL' } as const;
  const { status, stdout, stderr } = spawnSync('unshare', command, options);
  return { status, stdout, stderr };
}

/** What the user is told instead of a demo: one line, and nothing was begun. */
function refusal(script: string, fuseMode?: string): string {
  const { status, stdout, stderr } = onMachine(script, fuseMode);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr.trimEnd().split('\n').length).toBe(1);
  return stderr;
}

describe('npm test of an ordinary user', () => {
  // What Jest loads has to work where root's files are an unknown user's: a build of its compiler
  // that kept a cache did not.
  userTest('runs Jest in that namespace, and counts', () => {
    const { status, stdout, stderr } = onMachine(`
      cd $T/app
      ${NOBODY} env HOME=/nowhere $T/node test/run.mjs test/base/numbers`);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^tests: [1-9]\d* passed, 0 failed\n$/),
      stderr: expect.stringContaining('PASS test/base/numbers.test.ts'),
    });
  });

  userTest('says what it needs where it cannot', () => {
    const { status, stdout, stderr } = onMachine(
      `cd $T/app; ${NOBODY} $T/node test/run.mjs`,
      '600',
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^npm test: \/dev\/fuse: cannot be opened \(EACCES\); .*\n$/);
  });
});

describe('the demo is refused, with what to do', () => {
  userTest('where /dev/fuse is for root only', () => {
    expect(refusal(`${NOBODY} ${DEMO}`, '600')).toBe(
      'famfs-csi: /dev/fuse: cannot be opened (EACCES); run as root, or give this user access to ' +
        'it; the administrator does that with: modprobe fuse; chmod 666 /dev/fuse\n',
    );
  });

  userTest('where /dev/fuse is not there', () => {
    const script = `
      mount -t tmpfs none /dev
      mknod -m 666 /dev/null c 1 3
      ${NOBODY} ${DEMO}`;
    expect(refusal(script)).toMatch(/^famfs-csi: \/dev\/fuse: is not there \(ENOENT\); .*modprobe/);
  });

  // What `sysctl user.max_user_namespaces=0` does, in a user namespace whose limit is its own.
  userTest('where the system gives no user namespaces', () => {
    // It is root's from when its users are mapped; what it executes then has root's rights.
    const script = `
      mkfifo $T/go
      echo "echo 0 >/proc/sys/user/max_user_namespaces && exec ${NOBODY} ${DEMO}" >$T/limited
      unshare --user sh -c 'read go <$T/go; exec sh $T/limited' &
      child=$!
      mine=$(readlink /proc/self/ns/user)
      until [ "$(readlink /proc/$child/ns/user)" != $mine ]; do :; done
      echo 0 0 65536 >/proc/$child/uid_map
      echo 0 0 65536 >/proc/$child/gid_map
      echo go >$T/go
      wait $child`;
    expect(refusal(script)).toMatch(
      /^famfs-csi: user namespaces: .* \(unshare: .*No space left.*\); run as root, or .*max_user_/,
    );
  });

  userTest('where there is no unshare', () => {
    expect(refusal(`PATH=$T/none:$PATH; ${NOBODY} env PATH=$T/none ${DEMO}`)).toBe(
      'famfs-csi: unshare: cannot be run (ENOENT), and this user may not mount without it; ' +
        'install util-linux, or run as root\n',
    );
  });

  userTest('to a root who may not mount, as in many a container', () => {
    const root = 'setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin';
    expect(refusal(`${root} env PATH=$T/none ${DEMO}`)).toMatch(
      /^famfs-csi: unshare: cannot be run/,
    );
  });
});
