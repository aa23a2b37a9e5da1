import type { DirectoryNode, FileNode, Node } from '../format/namespace.ts';
import type { Attr } from '../fuse/operations.ts';

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
