import { MiB } from '../../src/base/numbers.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { errno, type HostDevice } from './devices.ts';
import type { FamfsFacts } from './generations.ts';
import type { Inode } from './inodes.ts';
import type { Kernel } from './kernel.ts';
import { type Answer, type Caller, struct, type Upcall } from './messages.ts';
import type { OpenFile } from './open-file.ts';
import { payloadOf } from './paths.ts';
import type { Program } from './task.ts';
import { everyExtent, type Place, placesOf, readWireMap, type WireMap } from './wire-map.ts';

const FIRST_ROOM_BYTES = 4096;
const ROOM_MAX_BYTES = 16 * MiB;
const HEADER_BYTES = 32;
const PAGE_BYTES = 4096;
const O_ACCMODE = 3;

/** Which paths a process can reach: a pod has a root of its own, without the host's devices. */
export type Sees = (path: string) => boolean;

/**
 * GET_FMAP at an open of a file that has no map yet, and on a pull kernel GET_DAXDEV for devices
 * that it does not know. Throws the opener's error.
 */
export function* fetchMap(
  kernel: Kernel,
  famfs: FamfsFacts,
  inode: Inode,
  caller: Caller,
  sees: Sees,
): Program<void> {
  let roomBytes = famfs.asksWithRoom ? FIRST_ROOM_BYTES : undefined;
  let payload = mapPayload(kernel, inode, yield getFmap(inode, caller, roomBytes));
  let map = readWireMap(payload);
  if (roomBytes !== undefined && map !== undefined && isOnlyHeader(payload, map, roomBytes)) {
    // What is too large, or larger than the room and yet whole, is found below.
    if (map.fmapSize <= ROOM_MAX_BYTES) {
      roomBytes = map.fmapSize;
      payload = mapPayload(kernel, inode, yield getFmap(inode, caller, roomBytes));
      map = readWireMap(payload);
    }
  }
  if (map === undefined) throw errno('EINVAL');
  check(kernel, famfs, inode, map, payload.length, roomBytes);
  if (famfs.devices === 'get-daxdev') yield* fetchDevices(kernel, map, caller, sees);
  inode.map ??= map;
}

function mapPayload(kernel: Kernel, { ino }: Inode, answer: Answer): Uint8Array {
  if (answer.error !== 0) kernel.rules.apply('noMap', { ino, error: answer.error });
  return payloadOf(answer);
}

function getFmap(inode: Inode, caller: Caller, roomBytes: number | undefined): Upcall {
  const body = roomBytes === undefined ? new Uint8Array() : struct(8, [0, 4, roomBytes]);
  return { opcode: OPCODE.GET_FMAP, nodeid: inode.ino, body, caller };
}

function isOnlyHeader(payload: Uint8Array, map: WireMap, roomBytes: number): boolean {
  return payload.length === HEADER_BYTES && map.fmapSize > roomBytes;
}

function check(
  kernel: Kernel,
  famfs: FamfsFacts,
  inode: Inode,
  map: WireMap,
  payloadBytes: number,
  roomBytes: number | undefined,
): void {
  const deviceOf = (devindex: number) => kernel.devices.at(devindex);
  const breach = kernel.rules.apply('map', {
    ino: inode.ino,
    famfs,
    map,
    payloadBytes,
    roomBytes,
    sizeBytes: inode.sizeBytes,
    taken: inode.map === undefined ? kernel.inodes.taken(inode, deviceOf) : [],
    deviceOf,
  });
  if (breach?.errno !== undefined) throw errno(breach.errno);
  if (breach?.id === 'registered-first') inode.isBad = true;
  if (breach?.id === 'size-in-map') inode.poison ??= 'fresh';
}

/** A failure does not fail the open: whoever touches the memory meets it. */
function* fetchDevices(kernel: Kernel, map: WireMap, caller: Caller, sees: Sees): Program<void> {
  for (const devindex of new Set(everyExtent(map).map((extent) => extent.devindex))) {
    if (!kernel.devices.isUnknown(devindex)) continue;
    const { GET_DAXDEV: opcode } = OPCODE;
    const { error, payload } = yield { opcode, nodeid: devindex, body: new Uint8Array(), caller };
    if (error === 0) kernel.devices.resolve(devindex, payload, sees);
  }
}

/**
 * Where the bytes of a mapped range are, found as a fault or a read(2) finds them: with no message
 * to anybody. Throws SIGBUS, or for a read EIO.
 */
export function placesIn(
  kernel: Kernel,
  inode: Inode,
  offset: number,
  length: number,
  by: 'fault' | 'read',
): (Place & { device: HostDevice })[] {
  const failure = by === 'fault' ? 'SIGBUS' : 'EIO';
  if (inode.poison === 'fresh' && by === 'read') {
    inode.poison = 'known';
    throw errno('ENXIO');
  }
  const end = Math.ceil(inode.sizeBytes / PAGE_BYTES) * PAGE_BYTES;
  const isThere = inode.poison === undefined && !inode.isBad && offset + length <= end;
  const places = isThere && inode.map ? placesOf(inode.map, offset, length) : undefined;
  if (places === undefined) throw errno(failure);
  return places.map((place) => {
    const device = kernel.devices.at(place.devindex);
    if (device === undefined || device.isPoisoned) throw errno(failure);
    return { ...place, device };
  });
}

export function devicesOf({ kernel, inode }: OpenFile): HostDevice[] {
  const indices = inode.map === undefined ? [] : everyExtent(inode.map);
  return [...new Set(indices.flatMap(({ devindex }) => kernel.devices.at(devindex) ?? []))];
}

export function loadFrom(
  { kernel, inode }: OpenFile,
  offset: number,
  length: number,
  by: 'fault' | 'read',
): Uint8Array {
  const bytes: number[] = [];
  for (const { device, offset: at, length: some } of placesIn(kernel, inode, offset, length, by)) {
    for (let i = 0; i < some; i++)
      bytes.push(kernel.host.memory.get(`${device.path}:${at + i}`) ?? 0);
  }
  return Uint8Array.from(bytes);
}

export function storeTo(
  { kernel, inode, flags }: OpenFile,
  offset: number,
  bytes: Uint8Array,
  by: 'fault' | 'read',
): void {
  if ((flags & O_ACCMODE) === 0) throw errno(by === 'fault' ? 'SIGSEGV' : 'EBADF');
  let done = 0;
  for (const place of placesIn(kernel, inode, offset, bytes.length, by)) {
    for (let i = 0; i < place.length; i++) {
      const key = `${place.device.path}:${place.offset + i}`;
      kernel.host.memory.set(key, bytes[done++] as number);
    }
  }
}
