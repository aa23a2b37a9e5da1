import { type NewEntry, PATH_MAX_BYTES } from './log-entry.ts';
import { type DirectoryNode, type FileNode, type Node, ROOT_INO } from './namespace.ts';
import type { DeadFile, Replica } from './replica.ts';

/** In no volume id and in no name that this driver gives; see docs/decisions/0011. */
const MARK = '+';
const VOLUME_BYTES_MAX = 48;

/**
 * What a deleted file is called in a log that was compacted while its memory was in quarantine: its
 * own directory may be gone. Gives the path that it had, and something that no other has: `v/data`
 * becomes `+v+data+<inode number>`. Of a path that is too long for that, or that has the mark in
 * it, only the volume is left: `+v+<inode number>`.
 */
function quarantinedPath({ path, ino }: FileNode): string {
  if (isQuarantined(path, ino)) return path;
  const whole = `${MARK}${path.replaceAll('/', MARK)}${MARK}${ino.toString(36)}`;
  const isWhole = path.includes('/') && !path.includes(MARK);
  if (isWhole && Buffer.byteLength(whole) <= PATH_MAX_BYTES) return whole;
  return `${MARK}${shortened(volumeOfPath(path))}${MARK}${ino.toString(36)}`;
}

function shortened(volume: string): string {
  return Buffer.from(volume).subarray(0, VOLUME_BYTES_MAX).toString();
}

/** Whether a path is one that a compacted log gives to a file in quarantine. */
export function isQuarantineName(path: string): boolean {
  return path.startsWith(MARK);
}

/** The first name of a path; of a file in quarantine, the one that it had. */
export function volumeOfPath(path: string): string {
  if (isQuarantineName(path)) return path.split(MARK)[1] ?? '';
  return path.split('/', 1)[0] ?? '';
}

function isQuarantined(path: string, ino: number): boolean {
  return isQuarantineName(path) && path.endsWith(`${MARK}${ino.toString(36)}`);
}

/** The path that a file in quarantine had, where its name says so; of any other node, its own. */
export function formerPath({ path, ino }: Node): string | undefined {
  if (!isQuarantined(path, ino)) return path;
  const names = path.split(MARK).slice(1, -1);
  return names.length > 1 ? names.join('/') : undefined;
}

/** Whether a path is a volume's directory, or in it, or of a file of it in quarantine. */
export function isOfVolume(path: string, volume: string): boolean {
  const name = volumeOfPath(path);
  return name === volume || (isQuarantineName(path) && name === shortened(volume));
}

/**
 * The entries of a log that says what the replica says, and no more: devices, then directories and
 * files in the order in which they came, then, twice, each deleted file that `isKept`: made and
 * deleted, so that every reader keeps its memory taken. What is not kept is free by this log.
 *
 * The first slot is void: its head is in the cache line of next_index, which a host that lost the
 * log while it was rewritten may still write back as it was before.
 */
export function compactedLog(replica: Replica, isKept: (dead: DeadFile) => boolean): NewEntry[] {
  const entries: NewEntry[] = [{ type: 'filler' }];
  for (const [devindex, device] of replica.devices.entries()) {
    // The primary device is the superblock's to name.
    if (devindex > 0) entries.push({ type: 'add-daxdev', devindex, ...device });
  }
  for (const node of inLogOrder(replica.namespace.root)) entries.push(entryOf(node, node.path));
  for (const { node } of replica.dead.filter(isKept)) {
    const path = quarantinedPath(node);
    entries.push(entryOf(node, path));
    entries.push({ type: 'delete', path, targetIndex: entries.length - 1 });
  }
  return entries;
}

function inLogOrder(root: DirectoryNode): Node[] {
  const nodes: Node[] = [];
  const walk = (directory: DirectoryNode): void => {
    for (const child of directory.children()) {
      nodes.push(child);
      if (child.kind === 'directory') walk(child);
    }
  };
  walk(root);
  return nodes.sort((a, b) => a.entryIndex - b.entryIndex);
}

function entryOf(node: Node, path: string): NewEntry {
  const { uid, gid, mode } = node;
  if (node.kind === 'directory') return { type: 'mkdir', path, uid, gid, mode };
  const { sizeBytes, flags, fmap } = node;
  return { type: 'file', path, sizeBytes, flags, uid, gid, mode, fmap };
}

/** How a log says a namespace: to compare two that must say the same. */
export function* inodesOf(replica: Replica): Iterable<readonly [path: string, ino: number]> {
  for (const node of inLogOrder(replica.namespace.root)) {
    if (node.ino !== ROOT_INO) yield [node.path, node.ino];
  }
}
