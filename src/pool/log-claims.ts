import { readDamaged } from '../format/damaged-entry.ts';
import { decodeLogEntry, encodeLogEntry, renumbered } from '../format/log-entry.ts';
import { Replica } from '../format/replica.ts';
import type { RawLog } from './raw-log.ts';

/** What the valid entries of a damaged log, taken together, say about the damaged ones. */
export interface Claims {
  /** Free: what no valid entry names, wherever in the log it is. */
  readonly space: Replica['space'];
  /** By path: the last valid entry after the first damage that makes a node there. */
  readonly lastMade: ReadonlyMap<string, number>;
  /** By path: the last valid entry that has no parent, but would have with this directory. */
  readonly lastNeeded: ReadonlyMap<string, number>;
  /** Damaged entries that a valid one deletes later: the path that it gives them. */
  readonly deletedAs: ReadonlyMap<number, string>;
  /** Damaged entries that add a device, are whole, and come at the right place. */
  readonly devices: ReadonlySet<number>;
}

/** Replays the log as if each damaged entry were a mark that says nothing. */
export function claimsOf(
  log: RawLog,
  count: number,
  damaged: ReadonlySet<number>,
  renumber: boolean,
): Claims {
  const replica = new Replica(log.superblock);
  const lastMade = new Map<string, number>();
  const lastNeeded = new Map<string, number>();
  const deletedAs = new Map<number, string>();
  const devices = new Set<number>();
  const [first = 0] = damaged; // in order
  for (const { index, bytes } of log.slots(0, count)) {
    if (damaged.has(index)) {
      const device = renumber ? wholeDevice(bytes, index) : undefined;
      const before = replica.problemCount;
      replica.apply(device ?? mark(index));
      if (device !== undefined && replica.problemCount === before) devices.add(index);
      continue;
    }
    const decoded = index > first ? decodeLogEntry(bytes, index) : undefined;
    if (decoded?.ok && (decoded.entry.type === 'file' || decoded.entry.type === 'mkdir')) {
      const { path } = decoded.entry;
      lastMade.set(path, index);
      const place = replica.namespace.place(path);
      if ('code' in place && place.code === 'NOT_FOUND') {
        for (const ancestor of ancestorsOf(path)) lastNeeded.set(ancestor, index);
      }
    } else if (decoded?.ok && decoded.entry.type === 'delete') {
      const { path, targetIndex } = decoded.entry;
      const isMadeBetween = (lastMade.get(path) ?? -1) > targetIndex;
      if (damaged.has(targetIndex) && !isMadeBetween) deletedAs.set(targetIndex, path);
    }
    replica.apply(bytes);
  }
  return { space: replica.space, lastMade, lastNeeded, deletedAs, devices };
}

function wholeDevice(bytes: Uint8Array, index: number): Uint8Array | undefined {
  const read = readDamaged(bytes, index);
  const isDevice = read?.isWhole === true && read.entry?.type === 'add-daxdev';
  return isDevice ? renumbered(bytes, index) : undefined;
}

function mark(index: number): Uint8Array {
  const path = `lost+found-${index}`;
  return encodeLogEntry(index, { type: 'mkdir', path, uid: 0, gid: 0, mode: 0 });
}

/** `a/b/c` → `a`, `a/b`. */
function* ancestorsOf(path: string): Iterable<string> {
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    yield path.slice(0, at);
  }
}
