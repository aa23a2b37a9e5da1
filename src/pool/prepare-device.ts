import { dirname } from 'node:path';
import { Fault } from '../base/errors.ts';
import { DEVICE_NAME_BYTES_MAX, type Superblock } from '../format/superblock.ts';
import { Mapping } from '../native/mapping.ts';
import { type Sysfs, sysfs } from '../native/sysfs.ts';
import { Daxdevs } from './daxdevs.ts';
import { DeviceLock } from './device-lock.ts';
import { provideEmulatedDevice } from './emulated-device.ts';
import { formatIfBlank } from './format-if-blank.ts';

export interface Preparation {
  /** The pool's name. */
  readonly name: string;
  /** The primary device, or the file that stands for it. */
  readonly device: string;
  readonly format: 'never' | 'ifBlank';
  /** The master of a pool that is formatted here. */
  readonly systemUuid: string;
  /** The file is made where it is missing, for this group to use. */
  readonly emulated:
    | { readonly sizeBytes: number; readonly logSizeBytes?: number; readonly gid: number }
    | undefined;
}

/**
 * What a pool needs before it can be mounted: the file of an emulated fabric, a superblock. Several
 * mounters of one host may do this at once: one does it, the others find it done. Returns the
 * superblock if it was made here. Safe to do again after a crash at any step.
 */
export async function prepareDevice(
  wanted: Preparation,
  tree: Sysfs = sysfs,
): Promise<Superblock | undefined> {
  const { name, device, emulated } = wanted;
  if (emulated !== undefined) {
    using _ = await locked(dirname(device));
    provideEmulatedDevice(device, { ...emulated, mode: 0o660 });
  }
  if (wanted.format === 'never' || isOfFamfs(device, tree)) return undefined;
  using _ = await locked(device);
  using memory = Mapping.open(device, { writable: true });
  try {
    return formatIfBlank(memory, {
      deviceName: Buffer.byteLength(device) <= DEVICE_NAME_BYTES_MAX ? device : name,
      systemUuid: wanted.systemUuid,
      ...(emulated?.logSizeBytes === undefined ? {} : { logLengthBytes: emulated.logSizeBytes }),
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.code, `pool ${name} on ${device}: ${error.message}`, { cause: error });
  }
}

/**
 * Whether the device is with the driver that famfs mounts have theirs from: then it has been
 * mounted, so it is formatted, and nobody can map it to look.
 */
function isOfFamfs(device: string, tree: Sysfs): boolean {
  const daxdevs = new Daxdevs(() => [], tree).list();
  return daxdevs.some(({ path, driver }) => path === device && driver === 'fsdev_dax');
}

async function locked(path: string): Promise<Disposable> {
  const lock = new DeviceLock(path);
  try {
    await lock.acquire();
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}
