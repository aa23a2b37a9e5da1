import { Fault, isFault } from '../base/errors.ts';
import { formatSize, GiB } from '../base/numbers.ts';
import type { NewEntry } from '../format/log-entry.ts';
import type { DirectoryNode, Node } from '../format/namespace.ts';
import type { Replica } from '../format/replica.ts';
import type { Plan } from '../pool/log-writer.ts';
import type { StorageClass } from './parameters.ts';
import { directoryOf, filesIn, type Volume, volumeOf } from './volume.ts';
import type { VolumePool } from './volume-pool.ts';

/** What a volume gets that asks for no size; its owner most likely forgot to. */
const DEFAULT_BYTES = GiB;
/** The reference's "all hosts read and write"; it always writes this. */
const FILE_FLAGS = 2;

export interface NewVolume extends Omit<StorageClass, 'dataPath'> {
  readonly name: string;
  /** Size range in bytes, required ≤ limit; 0 is "not given". */
  readonly requiredBytes: number;
  readonly limitBytes: number;
}

/** The size to make: what is required, exactly, or the default within the limit. */
function sizeToMake({ requiredBytes, limitBytes }: NewVolume): number {
  if (requiredBytes > 0) return requiredBytes;
  return limitBytes > 0 ? Math.min(DEFAULT_BYTES, limitBytes) : DEFAULT_BYTES;
}

/**
 * Directory and file of a new volume, or only the file where a try was cut short after the
 * directory, or nothing where another controller was faster. Pure: see `LogWriter.append`.
 */
export function planCreate(
  pool: VolumePool,
  replica: Replica,
  id: string,
  wanted: NewVolume,
): Plan<Volume> {
  const there = volumeOf(pool, replica, id);
  if (there !== undefined) {
    return { entries: [], result: checkSameVolume(replica, wanted, there) };
  }
  const { uid, gid, mode, fileName } = wanted;
  const sizeBytes = sizeToMake(wanted);
  const fmap = allocate(pool, replica, wanted, sizeBytes);
  const path = `${id}/${fileName}`;
  const entries: NewEntry[] = [];
  if (needsDirectory(replica, id)) {
    entries.push({ type: 'mkdir', path: id, uid, gid, mode: searchable(mode) });
  }
  entries.push({ type: 'file', path, sizeBytes, flags: FILE_FLAGS, uid, gid, mode, fmap });
  const logPosition = replica.position + entries.length;
  const { name, fsUuid, generation: logGeneration } = pool;
  return { entries, result: { id, pool: name, fsUuid, sizeBytes, logPosition, logGeneration } };
}

/** DELETE entries for all that the volume's directory holds, deepest first, and for itself. */
export function planDelete(replica: Replica, id: string): Plan<void> {
  const directory = directoryOf(replica, id);
  const doomed = directory === undefined ? [] : depthFirst(directory);
  const entries = doomed.map(
    (node): NewEntry => ({ type: 'delete', targetIndex: node.entryIndex, path: node.path }),
  );
  return { entries, result: undefined };
}

/** The volume that is there, if it is what is wanted; else EXISTS with the first difference. */
export function checkSameVolume(replica: Replica, wanted: NewVolume, there: Volume): Volume {
  const { id } = there;
  const differs = (field: string, found: string | number, expected: string | number) =>
    new Fault(
      'EXISTS',
      `name ${wanted.name}: its volume ${id} has ${field} ${found}, this request wants ` +
        `${expected}; use another name, or delete that volume first`,
    );
  const directory = directoryOf(replica, id);
  const files = directory === undefined ? [] : filesIn(directory);
  const file = files.find((one) => one.name === wanted.fileName);
  if (file === undefined) {
    throw differs('file', files.map((one) => one.name).join(', '), wanted.fileName);
  }
  const { requiredBytes, limitBytes } = wanted;
  if (there.sizeBytes < requiredBytes) {
    throw differs('size', there.sizeBytes, `required_bytes ${requiredBytes}`);
  }
  if (limitBytes > 0 && there.sizeBytes > limitBytes) {
    throw differs('size', there.sizeBytes, `limit_bytes ${limitBytes}`);
  }
  for (const field of ['uid', 'gid'] as const) {
    if (file[field] !== wanted[field]) throw differs(field, file[field], wanted[field]);
  }
  if (file.mode !== wanted.mode) throw differs('mode', octal(file.mode), octal(wanted.mode));
  return there;
}

/** False when an empty directory is there, left by a try that was cut short or by a tool. */
function needsDirectory(replica: Replica, id: string): boolean {
  const node = replica.namespace.lookup(id);
  if (node === undefined) return true;
  if (node.kind === 'directory' && node.childCount === 0) return false;
  throw new Fault(
    'EXISTS',
    `volume ${id}: the pool's root has a ${node.kind} of this name that is no volume; remove it ` +
      'with "famfs-csi rm" or use another name',
  );
}

function allocate(pool: VolumePool, replica: Replica, wanted: NewVolume, sizeBytes: number) {
  try {
    return replica.space.find(wanted.layout, sizeBytes);
  } catch (error) {
    if (!isFault(error) || error.code !== 'NO_SPACE') throw error;
    const largest = replica.space.largestAllocatable(wanted.layout);
    throw new Fault(
      'NO_SPACE',
      `capacity_range.required_bytes: found ${sizeBytes} (${formatSize(sizeBytes)}), but the ` +
        `largest volume that fits pool ${pool.name} now is ${largest} bytes ` +
        `(${formatSize(largest)}); ask for less, or use another pool`,
      { cause: error },
    );
  }
}

function* depthFirstNodes(directory: DirectoryNode): Generator<Node> {
  for (const child of directory.children()) {
    if (child.kind === 'directory') yield* depthFirstNodes(child);
    else yield child;
  }
  yield directory;
}

function depthFirst(directory: DirectoryNode): Node[] {
  return [...depthFirstNodes(directory)];
}

/** Who may read the file may enter its directory: 0660 → 0770. */
function searchable(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
