import { readFileSync, writeSync } from 'node:fs';
import { codeOf, messageOf } from '../base/errors.ts';
import { invalidateEntry } from '../fuse/notify.ts';
import { DROPPER_FUSE_FD, type GoneName } from './name-dropper.ts';

/**
 * The process that a NameDropper runs: reads names from standard input, tells the kernel of each,
 * and ends. It outlives a server that was killed, and holds the connection until it is done.
 */
for (const [parent, name] of JSON.parse(readFileSync(0, 'utf8')) as GoneName[]) {
  try {
    writeSync(DROPPER_FUSE_FD, invalidateEntry(parent, name));
  } catch (error) {
    // The kernel does not have the name, or the mount is gone: as good.
    if (['ENOENT', 'ENODEV'].includes(codeOf(error) ?? '')) continue;
    process.stderr.write(`drop-names: ${JSON.stringify(name)}: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
