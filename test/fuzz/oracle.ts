import { type Extent, fmapExtents, resolve } from '../../src/format/extents.ts';
import type { DirectoryNode, FileNode, Node } from '../../src/format/namespace.ts';
import type { Replica } from '../../src/format/replica.ts';
import { isPoolPath, type Model, type ModelNode } from './model.ts';
import { oddPathField } from './paths.ts';
import type { Random } from './random.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';

/** All nodes but the root, found from the root down. */
export function nodesOf(replica: Replica): Node[] {
  const nodes: Node[] = [];
  const walk = (directory: DirectoryNode) => {
    for (const child of directory.children()) {
      nodes.push(child);
      if (child.kind === 'directory') walk(child);
    }
  };
  walk(replica.namespace.root);
  return nodes;
}

/** Throws unless the replica is what the model says, and keeps every promise of its own. */
export function checkReplica(replica: Replica, model: Model, random: Random, tally: Tally): void {
  const nodes = nodesOf(replica);
  checkProgress(replica, model);
  checkNamespace(replica, nodes, model);
  checkMemory(replica, nodes, model);
  checkAllocator(replica, model, random, tally);
  checkPlaces(replica, nodes, model, random, tally);
}

function checkProgress(replica: Replica, model: Model): void {
  mustEqual(replica.position, model.position, 'position');
  mustEqual(replica.applied, model.applied, 'entries applied');
  mustEqual(replica.skipped, model.position - model.applied, 'entries skipped');
  mustEqual(replica.damage !== undefined, model.damaged, 'damage');
  const lost = model.damaged ? replica.problemCount - replica.skipped - 1 : 0;
  must(lost === 0 || lost === 1, `problems: ${replica.problemCount} of ${replica.skipped} skipped`);
  must(replica.problems.length <= 1000, `problems kept: ${replica.problems.length}`);
  if (!model.damaged) mustEqual(replica.problemCount, replica.skipped, 'problems');
  for (const { index, code, message } of replica.problems) {
    const reasons = [...(model.reasons.get(index) ?? [])];
    const isTrue = code === 'ENTRIES_LOST' || reasons.includes(code);
    must(isTrue, () => `entry ${index} is ${code} (${message}), expected one of ${reasons}`);
  }
}

function checkNamespace(replica: Replica, nodes: readonly Node[], model: Model): void {
  const { namespace } = replica;
  const inodes = new Set<number>([1]);
  mustEqual(nodes.length, model.nodes.size, 'live nodes');
  mustEqual(namespace.fileCount + namespace.directoryCount, nodes.length, 'nodes counted');
  for (const node of nodes) {
    const { path } = node;
    must(isPoolPath(path), () => `path ${JSON.stringify(path)} leaves the pool, or FUSE`);
    must(Buffer.byteLength(node.name) <= 255, () => `name ${JSON.stringify(node.name)} is long`);
    must(Number.isSafeInteger(node.ino) && node.ino > 1, `inode ${node.ino}`);
    must(!inodes.has(node.ino), `inode ${node.ino} has two names`);
    inodes.add(node.ino);
    must(namespace.byIno(node.ino) === node, `inode ${node.ino} is not found`);
    must(namespace.lookup(path) === node, () => `path ${JSON.stringify(path)} is not found`);
    must(node.parent?.child(node.name) === node, 'a node is not among its parent’s');
    checkNode(node, model.nodes.get(path));
  }
}

function checkNode(node: Node, expected: ModelNode | undefined): void {
  const path = JSON.stringify(node.path);
  if (expected === undefined) throw new Error(`${path} must not exist`);
  mustEqual(node.kind, expected.kind, `${path} kind`);
  mustEqual(node.entryIndex, expected.index, `${path} entry`);
  mustEqual(node.uid, expected.uid, `${path} uid`);
  mustEqual(node.gid, expected.gid, `${path} gid`);
  mustEqual(node.mode, expected.mode, `${path} mode`);
  if (node.kind !== 'file') return;
  mustEqual(node.sizeBytes, expected.sizeBytes, `${path} size`);
  const chunk = node.fmap.type === 'interleaved' ? node.fmap.chunkBytes : 0;
  mustEqual(chunk, expected.chunkBytes, `${path} chunk`);
  mustEqual(describe(fmapExtents(node.fmap)), describe(expected.extents), `${path} extents`);
}

function describe(extents: readonly Extent[]): string {
  return extents.map((e) => `${e.devindex}:${e.offset}+${e.lengthBytes}`).join(' ');
}

/** Extents inside their device and nobody else's, files inside their extents, free space exact. */
function checkMemory(replica: Replica, nodes: readonly Node[], model: Model): void {
  const owned: Extent[] = [];
  for (const node of nodes) {
    if (node.kind !== 'file') continue;
    for (const extent of fmapExtents(node.fmap)) {
      checkExtent(extent, node, model);
      must(!replica.space.isFree(extent), () => `${node.path}: its memory is free`);
      owned.push(extent);
    }
    checkResolve(node);
  }
  mustEqual(describe(replica.deadExtents()), describe(model.dead), 'memory of deleted files');
  owned.push(...replica.deadExtents());
  owned.sort((a, b) => a.devindex - b.devindex || a.offset - b.offset);
  owned.forEach((extent, at) => {
    const next = owned[at + 1];
    if (next === undefined || next.devindex !== extent.devindex) return;
    must(extent.offset + extent.lengthBytes <= next.offset, `overlap at ${describe([next])}`);
  });
  checkFree(replica, model);
}

function checkExtent({ devindex, offset, lengthBytes }: Extent, node: Node, model: Model): void {
  const device = model.devices[devindex];
  const text = () => `${node.path}: ${describe([{ devindex, offset, lengthBytes }])}`;
  if (device === undefined) throw new Error(`${text()}: no such device`);
  must(offset >= device.start, () => `${text()}: in superblock or log`);
  must(offset + lengthBytes <= device.sizeBytes, () => `${text()}: beyond the device`);
  must(lengthBytes > 0, () => `${text()}: empty`);
  const isAligned = offset % model.unitBytes === 0 && lengthBytes % model.unitBytes === 0;
  must(isAligned, () => `${text()}: not aligned`);
}

/** First, last and middle byte are where format.md says, inside the file's own extents. */
function checkResolve(node: FileNode): void {
  const { sizeBytes, fmap } = node;
  for (const offset of [0, Math.floor(sizeBytes / 2), sizeBytes - 1]) {
    const found = resolve(fmap, offset, 1);
    mustEqual(describe(found), describe([placeOf(node, offset)]), `${node.path} byte ${offset}`);
    const inside = fmapExtents(fmap).some(
      (own) =>
        own.devindex === found[0]?.devindex &&
        own.offset <= found[0].offset &&
        found[0].offset < own.offset + own.lengthBytes,
    );
    must(inside, () => `${node.path}: byte ${offset} is outside its extents`);
  }
}

function placeOf({ fmap }: FileNode, offset: number): Extent {
  if (fmap.type === 'interleaved') {
    const { strips, chunkBytes } = fmap;
    const chunk = Math.floor(offset / chunkBytes);
    const strip = strips[chunk % strips.length] as Extent;
    const round = Math.floor(chunk / strips.length);
    const place = strip.offset + round * chunkBytes + (offset % chunkBytes);
    return { devindex: strip.devindex, offset: place, lengthBytes: 1 };
  }
  let before = 0;
  for (const extent of fmap.extents) {
    if (offset < before + extent.lengthBytes) {
      const place = extent.offset + (offset - before);
      return { devindex: extent.devindex, offset: place, lengthBytes: 1 };
    }
    before += extent.lengthBytes;
  }
  throw new Error(`byte ${offset} is in no extent`);
}

/** Free is exactly what no entry ever named: all gaps are free, and there is no more. */
function checkFree({ space }: Replica, model: Model): void {
  let [free, total] = [0, 0];
  for (const [devindex, { start, sizeBytes, used }] of model.devices.entries()) {
    total += sizeBytes - start;
    for (const [from, to] of used.gaps(start, sizeBytes)) {
      free += to - from;
      const gap = { devindex, offset: from, lengthBytes: to - from };
      must(space.isFree(gap), () => `${describe([gap])} is not free, and nobody named it`);
    }
  }
  mustEqual(space.freeBytes, free, 'free bytes');
  mustEqual(space.allocatedBytes, total - free, 'allocated bytes');
  mustEqual(space.deviceCount, model.devices.length, 'devices');
}

/** What `find` gives is nobody's; it gives the largest size that it names, no byte more. */
function checkAllocator(replica: Replica, model: Model, random: Random, tally: Tally): void {
  const layout = random.oneIn(2)
    ? ({ strips: 0 } as const)
    : {
        strips: random.pick([1, 2, 3, 16, 17]),
        buckets: random.pick([1, 3, 16, 64, 65]),
        chunkBytes: 2 ** random.between(20, 24),
      };
  try {
    const largest = replica.space.largestAllocatable(layout);
    const sizes = [1, random.between(1, 2 ** random.between(1, 50))];
    for (const size of [...sizes, largest, largest + 1]) {
      if (size > 0) checkFind(replica, model, layout, size, size <= largest, tally);
    }
  } catch (error) {
    const fault = foreseen(error);
    if (fault.code !== 'INVALID') throw error;
    tally.count('allocate', fault.code);
  }
}

function checkFind(
  { space }: Replica,
  model: Model,
  layout: Parameters<Replica['space']['find']>[0],
  size: number,
  fits: boolean,
  tally: Tally,
): void {
  let found: readonly Extent[];
  try {
    const fmap = space.find(layout, size);
    found = fmapExtents(fmap);
    const file = { fmap, sizeBytes: size, path: `find ${size}` } as FileNode;
    checkResolve(file);
  } catch (error) {
    const fault = foreseen(error);
    if (fault.code !== 'NO_SPACE') throw error;
    must(!fits, () => `find ${size}: ${fault.message}`);
    tally.count('allocate', fault.code);
    return;
  }
  tally.count('allocate', 'found');
  must(fits, `find ${size}: more than the largest that is allocatable`);
  found.forEach((extent, at) => {
    const { devindex, offset, lengthBytes } = extent;
    const device = model.devices[devindex];
    const end = offset + lengthBytes;
    const text = () => `find ${size}: ${describe([extent])}`;
    if (device === undefined) throw new Error(`${text()}: no such device`);
    must(offset >= device.start && end <= device.sizeBytes, () => `${text()}: outside`);
    must(offset % 0x20_0000 === 0 && lengthBytes % 0x20_0000 === 0, () => `${text()}: unaligned`);
    must(!device.used.overlaps(offset, end), () => `${text()}: is somebody's`);
    const own = found
      .slice(0, at)
      .every((o) => o.offset + o.lengthBytes <= offset || o.offset >= end);
    must(own, () => `${text()}: overlaps its own`);
  });
}

/** A writer is told the same about a new path as a reader of its entry would find. */
function checkPlaces(
  { namespace }: Replica,
  nodes: readonly Node[],
  model: Model,
  random: Random,
  tally: Tally,
): void {
  const paths = ['', ...nodes.map(({ path }) => path)];
  for (let left = 4; left > 0; left--) {
    const field = Buffer.from(oddPathField(random, paths));
    const path = random.oneIn(2) ? random.pick(paths) : field.toString().replace(/\0+$/, '');
    const wanted = random.oneIn(2) ? path : `${path}/new`;
    try {
      namespace.checkNewPath(wanted);
      tally.count('place', 'free');
      must(model.canPlace(wanted), () => `${JSON.stringify(wanted)} may be made`);
    } catch (error) {
      const fault = foreseen(error);
      tally.count('place', fault.code);
      must(!model.canPlace(wanted), () => `${JSON.stringify(wanted)}: ${fault.message}`);
    }
  }
}

/** Everything that one can ask a replica, as text: equal for equal states. */
export function snapshot(replica: Replica): string {
  const { space, namespace } = replica;
  const lines = nodesOf(replica).map((node) => {
    const file = node.kind === 'file' ? `${node.sizeBytes} ${JSON.stringify(node.fmap)}` : '';
    return `${node.path} ${node.ino} ${node.entryIndex} ${node.mode} ${node.uid} ${file}`;
  });
  const counts = [replica.position, replica.applied, replica.problemCount, namespace.fileCount];
  const memory = [space.freeBytes, space.allocatedBytes, space.largestFreeBytes];
  const problems = replica.problems.map(({ index, code, message }) => `${index}${code}${message}`);
  const dead = describe(replica.deadExtents());
  return [...lines, ...counts, ...memory, ...problems, dead].join('\n');
}
