import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountsAt, readMountInfo, unmount } from '../../src/native/mounts.ts';

/** A directory of a test's own. What is mounted below it goes with it, in whatever state it is. */
export class Scratch implements Disposable {
  readonly path: string;

  constructor(parent = tmpdir()) {
    this.path = mkdtempSync(join(parent, 'famfs-test-'));
  }

  join(...names: string[]): string {
    return join(this.path, ...names);
  }

  [Symbol.dispose](): void {
    const below = readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(this.path));
    for (const { mountPoint } of below.reverse()) {
      if (mountsAt(mountPoint).length > 0) unmount(mountPoint, { detach: true });
    }
    rmSync(this.path, { recursive: true, force: true });
  }
}
