import { constants } from 'node:os';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { ENTRY_OUT } from '../../src/fuse/abi-structs.ts';
import { errno } from './devices.ts';
import type { Inode } from './inodes.ts';
import type { Kernel } from './kernel.ts';
import { type Answer, type Caller, joined, readEntry } from './messages.ts';
import type { Program } from './task.ts';

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
NAMES.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
NAMES.set(constants.errno.EAGAIN, 'EAGAIN');

/** Throws what the answer says, as its system call would fail; EIO where its length is wrong. */
export function payloadOf(answer: Answer, lengthBytes?: number): Uint8Array {
  if (answer.error !== 0) throw errno(NAMES.get(-answer.error) ?? `errno ${-answer.error}`);
  if (lengthBytes !== undefined && answer.payload.length !== lengthBytes) {
    throw new Error(`reply: found ${answer.payload.length} bytes, expected ${lengthBytes}`);
  }
  return answer.payload;
}

/** Runs `inner` under the inode's lock, as long as it takes the server to answer. */
export function* locked<T>(
  inode: Inode,
  kind: 'shared' | 'exclusive',
  inner: () => Program<T>,
): Program<T> {
  const isFree = () => !inode.isWriteLocked && (kind === 'shared' || inode.readers === 0);
  while (!isFree()) yield { until: isFree };
  inode.pins++;
  if (kind === 'shared') inode.readers++;
  else inode.isWriteLocked = true;
  try {
    return yield* inner();
  } finally {
    inode.pins--;
    if (kind === 'shared') inode.readers--;
    else inode.isWriteLocked = false;
  }
}

/** The inode of a path, pinned: the caller unpins it. */
export function* walk(kernel: Kernel, caller: Caller, path: string): Program<Inode> {
  let at = kernel.inodes.root;
  at.pins++;
  for (const name of path.split('/').filter(Boolean)) {
    try {
      const next = yield* lookup(kernel, caller, at, name);
      next.pins++;
      unpin(kernel, at);
      at = next;
    } catch (error) {
      unpin(kernel, at);
      throw error;
    }
  }
  return at;
}

export function unpin(kernel: Kernel, inode: Inode): void {
  inode.pins--;
  kernel.inodes.settle(inode);
}

/** The directory of a path, pinned, and the last name. */
export function* walkToParent(
  kernel: Kernel,
  caller: Caller,
  path: string,
): Program<{ parent: Inode; name: string }> {
  const slash = path.lastIndexOf('/');
  const parent = yield* walk(kernel, caller, path.slice(0, Math.max(0, slash)));
  return { parent, name: path.slice(slash + 1) };
}

/** A name from the cache, if it is valid; after that, asked for anew. Nothing negative is kept. */
export function* lookup(
  kernel: Kernel,
  caller: Caller,
  parent: Inode,
  name: string,
): Program<Inode> {
  const cached = parent.children.get(name);
  if (cached !== undefined && kernel.nowMs < cached.validUntilMs) return cached.inode;
  if (cached !== undefined) {
    cached.inode.pins++;
    try {
      const answer = yield* ask(caller, parent, name);
      if (answer === undefined) {
        if (parent.children.get(name) === cached) kernel.inodes.unlink(cached);
      } else if (answer.nodeid === cached.inode.ino) {
        return accept(kernel, parent, name, answer);
      } else {
        kernel.queue.pushForget(answer.nodeid, 1);
        if (parent.children.get(name) === cached) kernel.inodes.unlink(cached);
      }
    } finally {
      unpin(kernel, cached.inode);
    }
  }
  return yield* locked(parent, 'shared', function* () {
    const answer = yield* ask(caller, parent, name);
    if (answer === undefined) throw errno('ENOENT');
    return accept(kernel, parent, name, answer);
  });
}

type Entry = ReturnType<typeof readEntry>;

/** LOOKUP; undefined where there is no such name. */
function* ask(caller: Caller, parent: Inode, name: string): Program<Entry | undefined> {
  const { LOOKUP: opcode } = OPCODE;
  const answer = yield { opcode, nodeid: parent.ino, body: joined(name), caller };
  if (answer.error === -constants.errno.ENOENT) return undefined;
  return readEntry(payloadOf(answer, ENTRY_OUT.size));
}

export function accept(kernel: Kernel, parent: Inode, name: string, entry: Entry): Inode {
  const { attributes, nodeid, entryValidMs } = entry;
  if (attributes.ino !== nodeid) throw new Error(`inode ${attributes.ino} as node ${nodeid}`);
  const inode = kernel.inodes.refer(attributes, kernel.nowMs, `LOOKUP of ${name}`);
  kernel.inodes.link(parent, name, inode, kernel.nowMs + entryValidMs);
  return inode;
}
