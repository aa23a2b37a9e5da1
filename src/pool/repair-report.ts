import type { DamagedEntry } from '../format/damaged-entry.ts';
import { decodeLogEntry, type LogEntry } from '../format/log-entry.ts';
import type { DirectoryNode, Node } from '../format/namespace.ts';
import type { Replica } from '../format/replica.ts';

/** Something that a repair makes disappear, or come back. */
export interface LostNode {
  /** Of the log entry that made it. */
  readonly index: number;
  readonly type: 'file' | 'directory' | 'device' | 'unknown';
  /** Null where it cannot be told. */
  readonly path: string | null;
  /** 0 for a directory; null where it cannot be told. */
  readonly sizeBytes: number | null;
  readonly note: string | null;
}

/** What goes with a damaged entry that is not kept. */
export function lostNode(index: number, damaged: DamagedEntry): LostNode[] {
  const { entry, file } = damaged;
  switch (entry?.type) {
    case 'file': {
      const note = 'as far as it can be read';
      return [{ index, type: 'file', path: entry.path, sizeBytes: sizeOf(entry), note }];
    }
    case 'mkdir': {
      const note = 'as far as it can be read';
      return [{ index, type: 'directory', path: entry.path, sizeBytes: 0, note }];
    }
    case 'delete': {
      // One that names what is there would have been kept, or brings it back: `undeletedNode`.
      const note = `reads as the deletion of ${JSON.stringify(entry.path)}, which is not there`;
      return [{ index, type: 'unknown', path: null, sizeBytes: null, note }];
    }
    case 'add-daxdev': {
      const sizeBytes = sizeOf(entry);
      const note = `device ${entry.devindex}, and every file on it`;
      return [{ index, type: 'device', path: null, sizeBytes, note }];
    }
    default: {
      const note = 'what it was cannot be read';
      const sizeBytes = file === undefined ? null : sizeOf(file);
      return [{ index, type: file ? 'file' : 'unknown', path: null, sizeBytes, note }];
    }
  }
}

/** What is not served, or not deleted, because the replica has just rejected a valid entry. */
export function rejectedNodes(
  bytes: Uint8Array,
  index: number,
  replica: Replica,
): { readonly lost: LostNode[]; readonly returned: LostNode[] } {
  const note = replica.problems.at(-1)?.message ?? null;
  const decoded = decodeLogEntry(bytes, index);
  const entry = decoded.ok ? decoded.entry : undefined;
  const returned = undeletedNode(entry, replica, note);
  if (entry?.type === 'file') {
    const { path } = entry;
    return { lost: [{ index, type: 'file', path, sizeBytes: sizeOf(entry), note }], returned };
  }
  if (entry?.type === 'mkdir') {
    const { path } = entry;
    return { lost: [{ index, type: 'directory', path, sizeBytes: 0, note }], returned };
  }
  if (entry?.type === 'add-daxdev') {
    const sizeBytes = sizeOf(entry);
    return { lost: [{ index, type: 'device', path: null, sizeBytes, note }], returned };
  }
  return { lost: [], returned };
}

/** The node that a deletion names and that is still there, if the entry is one. */
export function undeletedNode(
  entry: LogEntry | undefined,
  { namespace }: Replica,
  note: string | null,
): LostNode[] {
  if (entry?.type !== 'delete') return [];
  const node = namespace.lookup(entry.path);
  return node?.entryIndex === entry.targetIndex ? [liveNode(node, note)] : [];
}

/** The nodes of `one` that `other` does not have from the same entry, parents first. */
export function missingFrom(other: Replica, one: Replica): LostNode[] {
  const missing: LostNode[] = [];
  for (const node of walk(one.namespace.root)) {
    const there = other.namespace.lookup(node.path);
    if (there?.entryIndex !== node.entryIndex) missing.push(liveNode(node, null));
  }
  return missing;
}

function liveNode(node: Node, note: string | null): LostNode {
  const { entryIndex: index, kind: type, path } = node;
  return { index, type, path, sizeBytes: node.kind === 'file' ? node.sizeBytes : 0, note };
}

/** Damaged bytes may say a size that is none. */
function sizeOf({ sizeBytes }: { readonly sizeBytes: number }): number | null {
  return Number.isFinite(sizeBytes) ? sizeBytes : null;
}

function* walk(directory: DirectoryNode): Iterable<Node> {
  for (const node of directory.children()) {
    yield node;
    if (node.kind === 'directory') yield* walk(node);
  }
}
