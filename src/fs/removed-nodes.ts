import { formerPath } from '../format/compacted-log.ts';
import {
  DirectoryNode,
  directoryIno,
  FileNode,
  Namespace,
  type Node,
  ROOT_INO,
} from '../format/namespace.ts';
import { NONE, type References } from './references.ts';

/** A directory, by its inode number, and a name that is not in it any more. */
type GoneName = readonly [parent: number, name: string];

/**
 * What DELETE entries took away while the kernel of this node still refers to it, by inode number.
 *
 * The nodes are copies: one of a namespace would keep all of that namespace in memory, after the
 * log was rewritten and another one took its place.
 */
export class RemovedNodes {
  readonly #references: References;
  readonly #onRemoved: (parent: number, name: string) => void;
  readonly #nodes = new Map<number, Node>();
  /** What the copies are in. */
  readonly #root = new Namespace().root;
  /** Of the replay before the first answer. */
  #replayed: GoneName[] | undefined = [];

  /** `onRemoved`: told of each name that the kernel may have and is to drop. */
  constructor(references: References, onRemoved: (parent: number, name: string) => void) {
    this.#references = references;
    this.#onRemoved = onRemoved;
    references.onUnused((ino) => this.#nodes.delete(ino));
  }

  get(ino: number): Node | undefined {
    return this.#nodes.get(ino);
  }

  /**
   * A DELETE took the node away. In a log that was compacted that may be a file in quarantine,
   * which is there once more, without its directory: as it was, it is known already to a server
   * that saw it go.
   */
  add(node: Node): void {
    if (this.#references.of(node.ino) === NONE) return;
    const path = formerPath(node);
    const isQuarantined = path !== node.path;
    if (isQuarantined && this.#nodes.has(node.ino)) return;
    this.#nodes.set(node.ino, this.#copy(node, path ?? node.path));
    if (path !== undefined) this.#tell(isQuarantined ? goneName(path) : nameOf(node));
  }

  /**
   * The log was replayed. The server before this one may have died before it could tell. A name
   * that is taken again stays: what the kernel has under it may be the new file.
   */
  opened(namespace: Namespace): void {
    const replayed = this.#replayed ?? [];
    this.#replayed = undefined;
    for (const [parent, name] of replayed) {
      const directory = namespace.byIno(parent);
      const isTaken = directory?.kind === 'directory' && directory.child(name) !== undefined;
      if (!isTaken) this.#onRemoved(parent, name);
    }
  }

  #tell(gone: GoneName): void {
    if (this.#replayed === undefined) this.#onRemoved(...gone);
    else this.#replayed.push(gone);
  }

  #copy(node: Node, path: string): Node {
    const { ino, entryIndex, uid, gid, mode } = node;
    return node.kind === 'file'
      ? new FileNode(path, this.#root, entryIndex, node, { flags: node.flags, uid, gid, mode })
      : new DirectoryNode(ino, path, this.#root, entryIndex, node);
  }
}

function nameOf({ parent, name }: Node): GoneName {
  return [parent?.ino ?? ROOT_INO, name];
}

/** The directory may be gone, too. */
function goneName(path: string): GoneName {
  const slash = path.lastIndexOf('/');
  return [directoryIno(path.slice(0, Math.max(0, slash))), path.slice(slash + 1)];
}
