import { systemUuid } from '../../pool/identity.ts';
import { Pool } from '../../pool/pool.ts';

/** Opens the pool on a device for looking: mapped read-only. The name is the device. */
export function openForReading(device: string): Pool {
  return Pool.open({ name: device, device, writable: false });
}

/** Opens the pool on a device for appending, as this host or as `uuid`. */
export function openForWriting(device: string, uuid: string | undefined): Pool {
  return Pool.open({ name: device, device, writable: true, systemUuid: systemUuid(uuid) });
}
