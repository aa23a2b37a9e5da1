import type { DirectoryNode, FileNode, Node } from '../format/namespace.ts';
import type { Attr, SetattrChange } from '../fuse/operations.ts';

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
export const BLOCK_BYTES = 4096;

/** A node's attributes as FUSE has them; the log keeps no times. */
export function attrOf(node: Node): Attr {
  return node.kind === 'file' ? fileAttr(node) : directoryAttr(node);
}

function fileAttr({ ino, sizeBytes, mode, uid, gid }: FileNode): Attr {
  return { ino, sizeBytes, mode: S_IFREG | mode, nlink: 1, uid, gid, timeSeconds: 0 };
}

/** One link, as file systems say that count no subdirectories, so that find(1) counts itself. */
function directoryAttr({ ino, mode, uid, gid }: DirectoryNode): Attr {
  return { ino, sizeBytes: BLOCK_BYTES, mode: S_IFDIR | mode, nlink: 1, uid, gid, timeSeconds: 0 };
}

/** Whether a SETATTR asks for anything else than what is so. Times are accepted, and not kept. */
export function changes(attr: Attr, change: SetattrChange): boolean {
  return (
    (change.sizeBytes ?? attr.sizeBytes) !== attr.sizeBytes ||
    ((change.mode ?? attr.mode) & 0o7777) !== (attr.mode & 0o7777) ||
    (change.uid ?? attr.uid) !== attr.uid ||
    (change.gid ?? attr.gid) !== attr.gid
  );
}
