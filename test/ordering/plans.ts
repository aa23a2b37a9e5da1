import { MiB } from '../../src/base/numbers.ts';
import { CONTIGUOUS } from '../../src/format/allocator.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import type { DirectoryNode, Node } from '../../src/format/namespace.ts';
import type { Replica } from '../../src/format/replica.ts';
import type { Plan } from '../../src/pool/log-writer.ts';
import type { Step } from './scenario.ts';

const OWNER = { uid: 1000, gid: 100 };

/** Names that no plan had before: no two attempts at one position are ever the same bytes. */
export class Names {
  #next = 0;

  next(prefix: string): string {
    return `${prefix}${this.#next++}`;
  }
}

/** The plan for a step; its result is the log position after it. */
export function planOf(step: Step, names: Names): (replica: Replica) => Plan<number> {
  return (replica) => {
    const entries = entriesOf(step, names, replica);
    return { entries, result: replica.position + entries.length };
  };
}

function entriesOf({ kind, pick }: Step, names: Names, replica: Replica): NewEntry[] {
  const directories = directoriesOf(replica);
  const parent = directories[pick % directories.length]?.path ?? '';
  const inParent = (name: string) => (parent === '' ? name : `${parent}/${name}`);
  switch (kind) {
    case 'file':
      return [fileEntry(replica, inParent(names.next('f')), pick)];
    case 'directory':
      return [mkdirEntry(inParent(names.next('d')))];
    case 'tree': {
      const path = names.next('t');
      return [mkdirEntry(path), fileEntry(replica, `${path}/${names.next('f')}`, pick)];
    }
    case 'delete': {
      const candidates = removable(replica.namespace.root);
      const target = candidates[pick % candidates.length];
      if (target === undefined) return [mkdirEntry(inParent(names.next('d')))];
      return [{ type: 'delete', path: target.path, targetIndex: target.entryIndex }];
    }
  }
}

function mkdirEntry(path: string): NewEntry {
  return { type: 'mkdir', path, ...OWNER, mode: 0o755 };
}

function fileEntry(replica: Replica, path: string, pick: number): NewEntry {
  const sizeBytes = 1 + (pick % 2) * 3 * MiB;
  const fmap = replica.space.find(CONTIGUOUS, sizeBytes);
  return { type: 'file', path, sizeBytes, flags: 2, ...OWNER, mode: 0o644, fmap };
}

/** Directories that are not deep: paths are short in the format. */
function directoriesOf(replica: Replica): DirectoryNode[] {
  const { root } = replica.namespace;
  const below = [...root.children()].filter((node) => node.kind === 'directory');
  return [root, ...below];
}

function removable(directory: DirectoryNode): Node[] {
  return [...directory.children()].flatMap((node) =>
    node.kind === 'file' || node.childCount === 0 ? [node] : removable(node),
  );
}
