import { randomUUID } from 'node:crypto';
import { Fault, isFault } from '../base/errors.ts';
import { DEVICES_MAX } from '../format/namespace.ts';
import type { Replica } from '../format/replica.ts';
import {
  decodeSuperblock,
  FLAG_SECONDARY,
  SUPERBLOCK_BYTES,
  type Superblock,
} from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import type { Plan } from './log-writer.ts';
import { formatSecondary } from './mkfs.ts';

export interface DevaddOptions {
  /** As the new superblock records it, for people. */
  readonly deviceName: string;
  /** Default: random, or what the device has from a try that was cut short. */
  readonly deviceUuid?: string;
  /** Add the device whatever is on it, unless that is of this pool. */
  readonly force?: boolean;
}

export interface AddedDevice {
  readonly devindex: number;
  readonly deviceUuid: string;
  readonly sizeBytes: number;
  /** False where the log has had it already. */
  readonly isNew: boolean;
}

/** What devadd needs of a pool: `Pool`. */
export interface GrowingPool {
  readonly superblock: Superblock;
  append<T>(plan: (replica: Replica) => Plan<T>): Promise<T>;
}

/**
 * Adds a device to a pool: its superblock first, then the ADD_DAXDEV entry, both under the writers'
 * lock, so that the entry never names a device that is not there and two calls at once do not take
 * one uuid. Cut short anywhere, a second call goes on with what it finds.
 * INVALID for the pool's primary, or a device that is too small; EXISTS for a device that holds
 * something else, or a uuid that the pool has; PRECONDITION when the pool has 64; else as `append`.
 */
export function devadd(
  pool: GrowingPool,
  memory: SharedMemory,
  options: DevaddOptions,
): Promise<AddedDevice> {
  return pool.append((replica) => planDevadd(pool.superblock, replica, memory, options));
}

function planDevadd(
  primary: Superblock,
  replica: Replica,
  memory: SharedMemory,
  options: DevaddOptions,
): Plan<AddedDevice> {
  const own = ownSuperblock(memory, primary, options.deviceUuid);
  const deviceUuid = own?.deviceUuid ?? options.deviceUuid ?? randomUUID();
  const sizeBytes = own?.deviceSizeBytes ?? memory.lengthBytes;
  const there = replica.devices.findIndex((device) => device.deviceUuid === deviceUuid);
  if (own !== undefined && there > 0) {
    const result = { devindex: there, deviceUuid, sizeBytes, isNew: false };
    return { entries: [], result };
  }
  if (there >= 0) {
    const text = `is device ${there} of the pool; leave it out, or give another`;
    throw new Fault('EXISTS', `--device-uuid: ${deviceUuid} ${text}`);
  }
  const devindex = replica.devices.length;
  if (devindex === DEVICES_MAX) {
    throw new Fault('PRECONDITION', `pool: has ${DEVICES_MAX} devices, the most there can be`);
  }
  // That a log is full its writer says, and then nothing is to be written here either.
  if (own === undefined && replica.position < replica.capacity) {
    const { deviceName, force } = options;
    const identity = { deviceUuid, deviceName, deviceSizeBytes: sizeBytes, flags: FLAG_SECONDARY };
    formatSecondary(memory, { ...primary, ...identity }, force);
  }
  return {
    entries: [{ type: 'add-daxdev', sizeBytes, deviceUuid, devindex }],
    result: { devindex, deviceUuid, sizeBytes, isNew: true },
  };
}

/** What an earlier call for this pool has written; undefined for anything else. */
function ownSuperblock(
  memory: SharedMemory,
  primary: Superblock,
  deviceUuid: string | undefined,
): Superblock | undefined {
  assertNotPrimary(memory, primary);
  const found = superblockIn(memory);
  if (found?.fsUuid !== primary.fsUuid) return undefined;
  if (deviceUuid !== undefined && deviceUuid !== found.deviceUuid) {
    const text = `has the uuid ${found.deviceUuid} in this pool, not ${deviceUuid}`;
    throw new Fault('EXISTS', `device: ${text}; leave --device-uuid out`);
  }
  return found;
}

/** INVALID for the device that the log is on: nothing ever formats that. */
export function assertNotPrimary(memory: SharedMemory, primary: Superblock): void {
  const { fsUuid, deviceUuid } = superblockIn(memory) ?? {};
  if (fsUuid !== primary.fsUuid || deviceUuid !== primary.deviceUuid) return;
  throw new Fault('INVALID', 'device: is the primary device of this pool; give another');
}

function superblockIn(memory: SharedMemory): Superblock | undefined {
  try {
    return decodeSuperblock(memory.read(0, Math.min(SUPERBLOCK_BYTES, memory.lengthBytes)));
  } catch (error) {
    if (isFault(error) && error.code !== 'MEMORY_ERROR') return undefined;
    throw error;
  }
}
