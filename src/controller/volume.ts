import type { DirectoryNode, FileNode } from '../format/namespace.ts';
import type { Replica } from '../format/replica.ts';
import type { VolumePool } from './volume-pool.ts';

/** A volume as the log of its pool has it. */
export interface Volume {
  readonly id: string;
  readonly pool: string;
  readonly fsUuid: string;
  /** Sum of its files' sizes, to the byte: for a volume of this driver, of its one file. */
  readonly sizeBytes: number;
  /** Who has applied the log up to here sees all of the volume. */
  readonly logPosition: number;
  readonly logGeneration: number;
}

/** The root's child of that name; a file there, which tools may have made, is no volume. */
export function directoryOf(replica: Replica, id: string): DirectoryNode | undefined {
  const node = replica.namespace.lookup(id);
  return node?.kind === 'directory' ? node : undefined;
}

/** The volume of that id, or undefined where there is none or its directory has no file. */
export function volumeOf(pool: VolumePool, replica: Replica, id: string): Volume | undefined {
  const directory = directoryOf(replica, id);
  return directory && volumeIn(pool, directory);
}

export function volumeIn(pool: VolumePool, directory: DirectoryNode): Volume | undefined {
  const files = filesIn(directory);
  const last = files.at(-1);
  if (last === undefined) return undefined;
  return {
    id: directory.name,
    pool: pool.name,
    fsUuid: pool.fsUuid,
    sizeBytes: files.reduce((bytes, file) => bytes + file.sizeBytes, 0),
    logPosition: last.entryIndex + 1,
    logGeneration: pool.generation,
  };
}

/** A directory that this driver did not make, by its handle; with all files below it. */
export function staticVolumeOf(pool: VolumePool, id: string, path: string): Volume | undefined {
  const node = pool.replica.namespace.lookup(path);
  if (node?.kind !== 'directory') return undefined;
  const sizeBytes = sizeBelow(node);
  const { name, fsUuid, generation: logGeneration } = pool;
  return { id, pool: name, fsUuid, sizeBytes, logPosition: node.entryIndex + 1, logGeneration };
}

function sizeBelow(directory: DirectoryNode): number {
  let bytes = 0;
  for (const node of directory.children()) {
    bytes += node.kind === 'file' ? node.sizeBytes : sizeBelow(node);
  }
  return bytes;
}

/** The files of a directory, in log order. */
export function filesIn(directory: DirectoryNode): FileNode[] {
  const children = [...directory.children()];
  return children.filter((node): node is FileNode => node.kind === 'file');
}
