import type { References } from '../fs/references.ts';

/** What a node's kernel holds of a pool's files, for who has to know whether memory is in use. */
export interface Usage {
  /** Files that are open or mapped. */
  readonly openFiles: number;
  readonly cachedInodes: number;
  /** By directory at the pool's root, which is a volume; those in use first. */
  readonly volumes: readonly VolumeUsage[];
  /** Deleted files that the kernel still refers to; undefined: too many to list. */
  readonly heldInodes?: readonly number[];
}

export interface VolumeUsage {
  readonly id: string;
  readonly openFiles: number;
  readonly cachedInodes: number;
}

/** What is told of a node must fit a message, and an object of Kubernetes. */
const VOLUMES_MAX = 1000;

interface InodeNames {
  byIno(ino: number): { readonly path: string } | undefined;
}

/** Sums up what the kernel refers to; inodes of deleted files count, for no volume. */
export function usageOf(references: References, names: InodeNames): Usage {
  let openFiles = 0;
  let cachedInodes = 0;
  const volumes = new Map<string, { id: string; openFiles: number; cachedInodes: number }>();
  for (const [ino, { opens }] of references.entries()) {
    const isOpen = opens > 0 ? 1 : 0;
    openFiles += isOpen;
    cachedInodes++;
    const [id] = names.byIno(ino)?.path.split('/') ?? [];
    if (id === undefined || id === '') continue;
    const volume = volumes.get(id) ?? { id, openFiles: 0, cachedInodes: 0 };
    volume.openFiles += isOpen;
    volume.cachedInodes++;
    volumes.set(id, volume);
  }
  const inOrder = [...volumes.values()].sort(
    (one, other) => other.openFiles - one.openFiles || (one.id < other.id ? -1 : 1),
  );
  return { openFiles, cachedInodes, volumes: inOrder.slice(0, VOLUMES_MAX) };
}
