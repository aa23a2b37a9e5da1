import { Fault, isFault } from '../../base/errors.ts';
import { devicePath } from '../../pool/device-path.ts';
import { systemUuid } from '../../pool/identity.ts';
import { Pool, type PoolOptions } from '../../pool/pool.ts';

/** Opens the pool on a device for looking: mapped read-only. The name is the device. */
export function openForReading(device: string): Pool {
  return open(device, { writable: false });
}

/** Opens the pool on a device for appending, as this host or as `uuid`. */
export function openForWriting(device: string, uuid: string | undefined): Pool {
  return open(device, { writable: true, systemUuid: systemUuid(uuid) });
}

/** A path of the pool as users may write it: `/models/` is `models`, and `/` the pool's root. */
export function poolPath(given: string): string {
  return given.replace(/^\/+|\/+$/g, '');
}

/** INVALID where there is no such device: wrong use, other than a path that the pool has not. */
function open(given: string, options: Pick<PoolOptions, 'writable' | 'systemUuid'>): Pool {
  try {
    const [device = '', ...others] = given.split(',').map((one) => devicePath(one));
    const secondaries = others.map((path) => ({ path }));
    return Pool.open({ ...options, name: given, device, secondaries });
  } catch (error) {
    if (!isFault(error) || error.code !== 'NOT_FOUND') throw error;
    throw new Fault('INVALID', error.message, { cause: error });
  }
}
