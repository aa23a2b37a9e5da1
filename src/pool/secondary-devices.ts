import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, isFault } from '../base/errors.ts';
import type { Replica } from '../format/replica.ts';
import { decodeSuperblock, SUPERBLOCK_BYTES, type Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import { metaSuperblock } from './meta-memory.ts';

/**
 * A secondary device as who opens the pool knows it. With a path alone it is mapped; where the
 * kernel holds it for a mount, its superblock was read through that.
 */
export interface GivenDevice {
  readonly path: string;
  readonly superblock?: Superblock;
  /** Why it cannot be used on this host. */
  readonly problem?: string;
}

/** A secondary device that is what the log says. */
export interface SecondaryDevice {
  readonly path: string;
  /** Undefined where the kernel holds the device. */
  readonly memory: Mapping | undefined;
}

/**
 * Opens a device as `devindex` of the pool that `replica` has, and checks that it is that device;
 * undefined where a damaged log does not tell. The fault names the device.
 */
export function openSecondary(
  given: GivenDevice,
  devindex: number,
  fsUuid: string,
  replica: Replica,
  { writable }: { writable: boolean },
): SecondaryDevice | undefined {
  const { path, problem } = given;
  if (problem !== undefined) throw new Fault('PRECONDITION', problem);
  if (replica.damage !== undefined && replica.devices[devindex] === undefined) return undefined;
  const memory = given.superblock ? undefined : Mapping.open(path, { writable });
  try {
    const superblock = given.superblock ?? superblockOn(path, memory as Mapping);
    const lengthBytes = memory?.lengthBytes ?? superblock.deviceSizeBytes;
    checkDevice(path, { ...superblock, deviceSizeBytes: lengthBytes }, devindex, fsUuid, replica);
    return { path, memory };
  } catch (error) {
    memory?.[Symbol.dispose]();
    throw error;
  }
}

/** The secondary devices that a mount of the pool has: it shows the superblock of each. */
export function secondariesOfMount(meta: string): GivenDevice[] {
  const found: GivenDevice[] = [];
  for (let devindex = 1; ; devindex++) {
    const path = join(meta, metaSuperblock(devindex));
    if (!existsSync(path)) return found;
    using memory = Mapping.open(path, { writable: false });
    found.push({ path, superblock: superblockOn(path, memory) });
  }
}

/** The superblock of a device; the fault names the device. */
export function superblockOn(path: string, memory: Mapping): Superblock {
  try {
    const length = Math.min(SUPERBLOCK_BYTES, memory.lengthBytes);
    return decodeSuperblock(memory.read(0, length));
  } catch (error) {
    if (!isFault(error)) throw error;
    throw new Fault(error.code, `device ${path}: ${error.message}`, { cause: error });
  }
}

function checkDevice(
  path: string,
  found: Superblock,
  devindex: number,
  fsUuid: string,
  { devices }: Replica,
): void {
  const wrong = (text: string) => {
    return new Fault('PRECONDITION', `device ${path}: given as device ${devindex}, ${text}`);
  };
  if (found.fsUuid !== fsUuid) throw wrong(`is of pool ${found.fsUuid}, not of ${fsUuid}`);
  const expected = devices[devindex];
  if (expected === undefined) {
    throw wrong(`the pool's log has ${devices.length}; add it with "famfs-csi devadd"`);
  }
  if (found.deviceUuid !== expected.deviceUuid) {
    const is = devices.findIndex(({ deviceUuid }) => deviceUuid === found.deviceUuid);
    throw wrong(
      is < 0
        ? `has uuid ${found.deviceUuid}, the log says ${expected.deviceUuid}`
        : `is device ${is} of the pool; give the devices in the order of the log`,
    );
  }
  if (found.deviceSizeBytes < expected.sizeBytes) {
    throw wrong(`has ${found.deviceSizeBytes} bytes, the log says ${expected.sizeBytes}`);
  }
}
