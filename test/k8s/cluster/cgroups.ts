import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** The hierarchies of cgroup v1, and the unified one where it is beside them; or v2's only one. */
function hierarchies(): string[] {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return [ROOT];
  return readdirSync(ROOT).map((name) => join(ROOT, name));
}

/** Makes a group in each hierarchy, usable by processes at once. */
export function makeCgroup(path: string): void {
  for (const hierarchy of hierarchies()) {
    let at = hierarchy;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const parent = at;
      at = join(at, name);
      mkdirSync(at, { recursive: true });
      // A group of cpuset v1 takes no process before it has these, which are not inherited.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        if (!existsSync(join(parent, file)) || existsSync(join(parent, 'cgroup.type'))) continue;
        writeFileSync(join(at, file), readFileSync(join(parent, file)));
      }
    }
  }
}

/** Removes a group and those below it, where no process is in them any more. */
export function removeCgroup(path: string): void {
  for (const hierarchy of hierarchies()) {
    const top = join(hierarchy, path);
    if (existsSync(top)) removeTree(top);
  }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
