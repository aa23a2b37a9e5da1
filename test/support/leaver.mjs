// Leaves one thing of each kind behind, as a test run would, and prints what is found of it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Leftovers } from '../leftovers.mjs';

const leftovers = new Leftovers(() => true);
const { env } = leftovers;
if (process.argv[2] === 'all') {
  spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' }).unref();
  const mountPoint = join(env.TMPDIR, 'mount');
  mkdirSync(mountPoint);
  spawnSync('mount', ['-t', 'tmpfs', 'left', mountPoint]);
  const shared = mkdtempSync('/dev/shm/famfs-leaver-');
  await new Promise((resolve) => createServer().listen(join(env.TMPDIR, 'sock'), resolve).unref());
  process.stdout.write(JSON.stringify({ left: await leftovers.find(0), shared }));
  spawnSync('umount', [mountPoint]);
  rmSync(shared, { recursive: true });
  rmSync(env.TMPDIR, { recursive: true });
} else {
  // It ends, and takes its file with it, while the run is being looked at.
  spawn('sh', ['-c', 'touch $TMPDIR/file; sleep 1; rm $TMPDIR/file'], { env, stdio: 'ignore' });
  process.stdout.write(JSON.stringify({ left: await leftovers.find(), shared: '' }));
}
