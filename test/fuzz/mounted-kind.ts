import { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { type Reply, Responder } from '../../src/fuse/responder.ts';
import { message } from '../fuse/messages.ts';
import { checkReply, type Dirent, direntsOf, FuseClient } from './fuse-wire.ts';
import { type AnyKind, anyKind } from './kind.ts';
import { authoredImage, continuedVector, simplerImages } from './log-images.ts';
import { showImage } from './log-kinds.ts';
import type { LogImage } from './media.ts';
import { isPoolPath, Model, type ModelNode } from './model.ts';
import type { Random } from './random.ts';
import { deviceFile, fitsFile } from './sparse-device.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';

const READ_BYTES_MAX = 2 ** 20;
/** Names that no lookup may answer, whatever the log says. */
const IMPOSSIBLE = ['.', '..', '.meta', 'a/b', '../a', 'x'.repeat(300), '\u0001'.repeat(80)];

export function mountableImage(random: Random): LogImage {
  for (;;) {
    const image = random.oneIn(3) ? continuedVector(random) : authoredImage(random);
    if (fitsFile(image)) return image;
  }
}

function serve(image: LogImage, random: Random, tally: Tally): void {
  const model = Model.of(image);
  let fs: FamfsFileSystem;
  try {
    const pool = { name: 'fuzz', device: deviceFile(image), writable: false };
    fs = new FamfsFileSystem({ ...pool, onError: (text) => must(false, text) });
  } catch (error) {
    const fault = foreseen(error);
    must(model === undefined, () => `cannot be mounted: ${fault.message}`);
    tally.count('mount', fault.code);
    return;
  }
  try {
    if (model === undefined) throw new Error('mounted what must be refused');
    tally.count('mount', 'served');
    new Walk(fs, model, random, tally).all();
  } finally {
    fs[Symbol.dispose]();
  }
}

/** Asks a mounted pool everything that the kernel can ask about what it finds there. */
class Walk {
  readonly #model: Model;
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #responder: Responder;
  readonly #client: FuseClient;
  readonly #inodes = new Map<number, string>([[1, '']]);

  constructor(fs: FamfsFileSystem, model: Model, random: Random, tally: Tally) {
    this.#model = model;
    this.#random = random;
    this.#tally = tally;
    this.#responder = new Responder(fs, {
      malformed: () => {},
      failed: (operation, error) => {
        throw new Error(`${operation} threw`, { cause: error });
      },
    });
    this.#client = new FuseClient((request) => whole(this.#responder.answer(request)));
  }

  all(): void {
    this.#directory(1, '');
    const found = [...this.#inodes.values()].filter((path) => path !== '');
    mustEqual(found.length, this.#model.nodes.size, 'nodes found by walking');
    const statfs = this.#client.get(OPCODE.STATFS, 1);
    must(statfs.readBigUInt64LE(8) <= statfs.readBigUInt64LE(0), 'more blocks free than there are');
    mustEqual(Number(statfs.readBigUInt64LE(24)), this.#model.nodes.size, 'files in statfs');
    for (let left = this.#random.below(20); left > 0; left--) this.#anything();
  }

  #directory(nodeid: number, path: string): void {
    this.#client.get(OPCODE.OPENDIR, nodeid, new Uint8Array(8));
    const plus = this.#random.oneIn(2);
    const dirents = this.#list(nodeid, plus);
    mustEqual(dirents[0]?.name, '.', 'first name');
    mustEqual(dirents[1]?.name, '..', 'second name');
    for (const dirent of dirents.slice(2)) this.#child(nodeid, path, dirent);
    const absent = this.#random.pick(IMPOSSIBLE);
    const answer = this.#client.lookup(nodeid, absent);
    must(answer < 0 || (absent === '.meta' && path !== ''), `a name ${JSON.stringify(absent)}`);
  }

  /** All entries of a directory, however little the kernel asks for at a time. */
  #list(nodeid: number, plus: boolean): Dirent[] {
    const dirents: Dirent[] = [];
    const room = this.#random.pick([256, 300, 512, 4096, 65536, 2 ** 20]);
    const most = 3 + this.#model.nodes.size;
    for (let cookie = 0; ; ) {
      const opcode = plus ? OPCODE.READDIRPLUS : OPCODE.READDIR;
      const payload = this.#client.get(opcode, nodeid, readIn(cookie, room));
      must(payload.length <= room, `${payload.length} bytes of entries for ${room}`);
      const more = direntsOf(payload, plus);
      if (more.length === 0) return dirents;
      dirents.push(...more);
      must(dirents.length <= most, 'a directory does not end');
      for (const dirent of more) {
        must(dirent.cookie > cookie, `cookie ${dirent.cookie} after ${cookie}`);
        cookie = dirent.cookie;
      }
    }
  }

  #child(parent: number, directory: string, { name, ino, isDirectory }: Dirent): void {
    const path = directory === '' ? name : `${directory}/${name}`;
    must(isPoolPath(path), () => `${JSON.stringify(path)} leaves the pool`);
    const node = this.#model.nodes.get(path);
    if (node === undefined) throw new Error(`${JSON.stringify(path)} must not exist`);
    mustEqual(isDirectory, node.kind === 'directory', `${path} is a directory`);
    must(!this.#inodes.has(ino), `inode ${ino} has two names`);
    this.#inodes.set(ino, path);
    mustEqual(this.#client.lookup(parent, name), ino, `inode of ${path}`);
    const attr = this.#client.get(OPCODE.GETATTR, ino, new Uint8Array(16));
    const size = isDirectory ? 4096 : node.sizeBytes;
    mustEqual(Number(attr.readBigUInt64LE(24)), size, `size of ${path}`);
    mustEqual(attr.readUInt32LE(76) & 0o170000, isDirectory ? 0o040000 : 0o100000, 'file type');
    this.#attributes(ino);
    if (isDirectory) this.#directory(ino, path);
    else this.#file(ino, path, node);
  }

  #attributes(ino: number): void {
    const names = this.#client.get(OPCODE.LISTXATTR, ino, xattrIn(65536));
    for (const name of names.toString('latin1').split('\0').slice(0, -1)) {
      const value = this.#client.get(OPCODE.GETXATTR, ino, xattrIn(65536, name));
      const needed = this.#client.get(OPCODE.GETXATTR, ino, xattrIn(0, name));
      mustEqual(needed.readUInt32LE(0), value.length, `length of ${name}`);
      if (name === 'user.famfs.extents') JSON.parse(value.toString('utf8'));
    }
  }

  #file(ino: number, path: string, { sizeBytes, extents }: ModelNode): void {
    this.#client.get(OPCODE.OPEN, ino, new Uint8Array(8));
    const random = this.#random;
    const offset = random.pick([0, sizeBytes - 1, Math.max(0, sizeBytes - 4096), sizeBytes]);
    const lengthBytes = random.pick([1, 4096, 65536, READ_BYTES_MAX]);
    const request = message(OPCODE.READ, ino, readIn(offset, lengthBytes));
    const reply = this.#responder.answer(request);
    if (extents.some(({ devindex }) => devindex > 0)) {
      // This host has opened the primary device alone: EIO is the answer, not other memory.
      checkReply(request, whole(reply));
      return;
    }
    const expected = Math.min(lengthBytes, sizeBytes - offset);
    const segments = reply?.segments ?? [];
    const total = segments.reduce((sum, segment) => sum + segment.lengthBytes, 0);
    mustEqual(total, expected, `bytes read of ${path}`);
    for (const segment of segments) {
      must(this.#isWithin(segment, extents), `${path}: bytes outside its extents`);
    }
  }

  /** Extents that follow each other on the device may be read as one. */
  #isWithin(
    { offset, lengthBytes }: { offset: number; lengthBytes: number },
    extents: ModelNode['extents'],
  ): boolean {
    const sorted = [...extents].sort((a, b) => a.offset - b.offset);
    let at = offset;
    for (const own of sorted) {
      if (own.offset <= at && at < own.offset + own.lengthBytes) at = own.offset + own.lengthBytes;
    }
    return at >= offset + lengthBytes;
  }

  /** A request of any kind about an inode that is there, or of any other. */
  #anything(): void {
    const random = this.#random;
    const ino = random.oneIn(8) ? random.u32() : random.pick([...this.#inodes.keys()]);
    const opcode = random.pick(Object.values(OPCODE));
    const body = random.oneIn(2) ? random.bytes(random.below(100)) : readIn(random.below(9), 4096);
    const request = message(opcode, ino, body);
    // Data is memory of a sparse file that reading would fill: READ has its own check above.
    if (opcode === OPCODE.READ) return;
    checkReply(request, whole(this.#responder.answer(request)));
    this.#tally.count('fuse', 'anything');
  }
}

/** The reply as one; of READ's data only the length. */
function whole(reply: Reply | undefined): Uint8Array | undefined {
  if (reply?.segments === undefined) return reply?.head;
  const total = reply.segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const bytes = new Uint8Array(reply.head.length + total);
  bytes.set(reply.head);
  return bytes;
}

function readIn(offset: number, lengthBytes: number): Uint8Array {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(lengthBytes, 16);
  return body;
}

function xattrIn(lengthBytes: number, name?: string): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(lengthBytes, 0);
  return name === undefined ? head : Buffer.concat([head, Buffer.from(`${name}\0`)]);
}

export const MOUNTED_KIND: AnyKind = anyKind<LogImage>({
  name: 'mounted pool',
  weight: 3,
  generate: mountableImage,
  run: serve,
  shrink: simplerImages,
  show: showImage,
});
