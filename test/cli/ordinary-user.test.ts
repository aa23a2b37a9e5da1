import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { missingCommand, testUnless } from '../support/needs.ts';
import { Scratch } from '../support/scratch.ts';

/**
 * `famfs-csi demo` as somebody who may not mount. Each run has mount and process namespaces of its
 * own, where root can arrange the machine as it likes: the repository where everybody can read it,
 * a /dev/fuse with the rights that the story wants, and a /tmp and /dev/shm that are empty before
 * and must be after. When the run ends all of it is gone, whatever state it is in.
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
/** What is left behind, and who still runs: this shell, `ls` and no more. */
const LEFTOVERS = `
  echo "left: $(ls -A /dev/shm) $(ls -A $TMPDIR)"
  echo "processes: $(ls -d /proc/[0-9]* | wc -l)"
`;

function reasonToSkip(): string | undefined {
  const isFirstNamespace = /^\s*0\s+0\s+4294967295/.test(
    readFileSync('/proc/self/uid_map', 'utf8'),
  );
  if (process.getuid?.() !== 0 || !isFirstNamespace) return 'only root can become another user';
  if (!existsSync('/dev/fuse')) return '/dev/fuse is missing';
  return missingCommand('unshare') ?? missingCommand('setpriv');
}

const userTest = testUnless(reasonToSkip());

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

describe('the demo of an ordinary user', () => {
  userTest('shares every byte, in a user and mount namespace, and leaves nothing behind', () => {
    const { status, stdout, stderr } = onMachine(`
      ${NOBODY} sh -c "id -u; exec ${DEMO}"
      echo "exit $?"
      ${LEFTOVERS}`);
    const lines = stdout.trimEnd().split('\n');
    expect({ status, stderr, first: lines[0] }).toEqual({ status: 0, stderr: '', first: '65534' });
    expect(lines.slice(-4)).toEqual([
      'demo: ok, 1000000 bytes (976.6 KiB) shared by 2 nodes',
      'exit 0',
      'left:  ',
      expect.stringMatching(/^processes: [1-4]$/),
    ]);
    expect(stdout).toMatch(/pod on node-b verifies +mapped it read-only, all 1000000 bytes/);
    expect(stdout).toMatch(/a write on node-b is refused +Read-only file system/);
  });

  userTest('that is told to end cleans up, and says so', () => {
    // The signal is for the process that the user sees, which is not the one that does the work.
    const script = `
      mkfifo $T/output
      ${NOBODY} ${DEMO} >$T/output &
      demo=$!
      exec 3<$T/output
      read first <&3
      kill -TERM $demo
      cat <&3
      wait $demo
      echo "exit $?"
      ${LEFTOVERS}`;
    const { status, stdout, stderr } = onMachine(script);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n').slice(-5)).toEqual([
      expect.stringMatching(/^demo: failed at ".+": stopped by SIGTERM$/),
      'nothing is left behind',
      'exit 1',
      'left:  ',
      expect.stringMatching(/^processes: [1-4]$/),
    ]);
  });
});

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
