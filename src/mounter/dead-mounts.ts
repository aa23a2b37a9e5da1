import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileInodes } from '../fs/reference-report.ts';
import { CountTable } from '../native/count-table.ts';
import { fuseConnections } from '../native/mounts.ts';
import { hostIdentity } from '../pool/identity.ts';

/**
 * Mounts of a pool on this node that died with their mounter. On a dax path a process that has a
 * file mapped through one goes on reading and writing shared memory, which no server knows of any
 * more. So what the kernel had of such a mount is taken for held until its connection is gone: the
 * kernel keeps that for as long as anything uses the mount.
 *
 * A table of each is beside the mount point: `<mount point>.dead.<boot>.<connection>`.
 */
export class DeadMounts {
  readonly #folder: string;
  readonly #prefix: string;

  constructor(mountPoint: string) {
    this.#folder = dirname(mountPoint);
    this.#prefix = `${basename(mountPoint)}.dead.`;
  }

  /** To be called before the mount is detached; `device` as mountinfo has it. */
  keep(referencesFile: string, device: string): void {
    const [, connection = ''] = device.split(':');
    if (!existsSync(referencesFile)) return;
    const name = `${this.#prefix}${bootOfNow()}.${connection}`;
    renameSync(referencesFile, join(this.#folder, name));
  }

  /** Inode numbers of files that may be mapped through dead mounts; tables of others go. */
  heldInodes(): readonly number[] {
    const names = readdirSync(this.#folder).filter((name) => name.startsWith(this.#prefix));
    if (names.length === 0) return [];
    const connections = fuseConnections();
    const held: number[] = [];
    for (const name of names) {
      const path = join(this.#folder, name);
      const [boot, connection] = name.slice(this.#prefix.length).split('.');
      if (boot === bootOfNow() && connections.has(Number(connection))) held.push(...filesIn(path));
      else rmSync(path, { force: true });
    }
    return held;
  }
}

function filesIn(path: string): number[] {
  using table = new CountTable(path);
  return fileInodes(table.entries());
}

/** A table of before says nothing: no process of then is left. */
function bootOfNow(): string {
  return hostIdentity().id.slice(0, 8);
}
