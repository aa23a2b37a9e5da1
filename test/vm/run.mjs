// Two hosts on one machine: boots two emulated machines on one shared memory and runs the product's
// main story across them; the last line is `vm: N passed, 0 failed`.
//   FAMFS_KERNEL=<bzImage>  a kernel with famfs: then the dax path is required
//   --install               first installs the programs that are missing, with apt
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { checkPrograms, fail, say, sayFailures, secondsSince } from '../support/story-run.mjs';

const NAME = 'vm';
/** What has to be there, and the Debian package that has it. */
const PROGRAMS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  setpriv: 'util-linux',
  xz: 'xz-utils',
  ...(process.env.FAMFS_KERNEL ? {} : { 'apt-get': 'apt', 'dpkg-deb': 'dpkg' }),
};
/** The fabric's file is sparse: it takes what the story writes. */
const FABRIC_FREE_BYTES = 256 * 1024 * 1024;

/** A memory file system where it has room; else a file does. */
function fabricFolder() {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize >= FABRIC_FREE_BYTES) return '/dev/shm';
  } catch {
    // No /dev/shm: the temporary folder will do.
  }
  return tmpdir();
}

if (process.arch !== 'x64')
  fail(NAME, `runs this machine's Node in an x86-64 guest, not ${process.arch}`);
checkPrograms(NAME, PROGRAMS);

const folder = mkdtempSync(join(tmpdir(), 'famfs-vm-'));
const fabric = join(fabricFolder(), basename(folder));
const output = join(folder, 'results.json');

/** Consoles and QEMU's own output stay for who has to find out what went wrong. */
function cleanUp(keepLogs) {
  rmSync(fabric, { force: true });
  const names = readdirSync(folder);
  if (!keepLogs || !names.some((name) => name.endsWith('.log'))) {
    rmSync(folder, { recursive: true, force: true });
    return;
  }
  for (const name of names) {
    if (!name.endsWith('.log')) rmSync(join(folder, name), { recursive: true, force: true });
  }
  say(`vm: the logs of both hosts are kept in ${folder}`);
}

const begin = performance.now();
const args = ['--config', 'test/vm/jest.config.mjs', '--runInBand', '--json'];
const jest = spawn(
  process.execPath,
  ['node_modules/jest/bin/jest.js', ...args, `--outputFile=${output}`],
  {
    env: { ...process.env, FAMFS_VM_FOLDER: folder, FAMFS_VM_FABRIC: fabric },
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
// QEMU dies with Jest, and what they leave is taken away below.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => jest.kill('SIGKILL'));
const how = await new Promise((resolve) => {
  jest.on('exit', (code, signal) => resolve(signal ?? code));
});

let results;
try {
  results = JSON.parse(readFileSync(output, 'utf8'));
} catch {
  cleanUp(how !== 'SIGKILL');
  fail(NAME, `Jest ended with ${how} and gave no results`);
}
sayFailures(results);
const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
const isFine = failed === 0 && results.numPassedTests > 0 && how === 0;
cleanUp(!isFine);
say(`vm: took ${secondsSince(begin)}`);
say(`vm: ${results.numPassedTests} passed, ${failed} failed`);
process.exit(isFine ? 0 : 1);
