import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { dataPathOf, type Generation } from '../fs/data-path.ts';
import { usersOf } from '../native/proc.ts';
import { Daxdevs } from '../pool/daxdevs.ts';
import { devicePath, givenUuid } from '../pool/device-path.ts';

/** A device of a pool, by its place in the list, on this node. */
export interface AssignedDevice {
  readonly path: string;
  /** What it must have in its superblock, if it was given by that. */
  readonly uuid?: string;
  /** Why it cannot be used: the pool is served without it. */
  readonly problem?: string;
}

/** A mount's devices, and which of them to put back to devdax when the mount is no more. */
export interface PreparedDevices {
  readonly devices: readonly AssignedDevice[];
  readonly switched: readonly string[];
}

/**
 * The devices of one pool on this node: where they are, and in which mode. A primary that cannot be
 * had is a fault; another device that cannot is noted, and the pool is served without it.
 *
 * Invariant: a device is never taken from the fsdev driver but by who put it there for a mount of
 * its own, and knows that the mount is no more: sysfs does not tell whether one has the device.
 */
export class PoolDevices {
  readonly #given: readonly string[];
  readonly #log: Logger;
  readonly #daxdevs: Daxdevs;
  readonly #pathOf: typeof devicePath;

  /** `given`: by devindex, each a path, or `uuid:` and a device's uuid. */
  constructor(
    given: readonly string[],
    log: Logger,
    daxdevs: Daxdevs = new Daxdevs(usersOf),
    pathOf: typeof devicePath = devicePath,
  ) {
    this.#given = given;
    this.#log = log;
    this.#daxdevs = daxdevs;
    this.#pathOf = pathOf;
  }

  /** Where they are. `last`: what the mount before had. */
  find(last: readonly AssignedDevice[] = []): AssignedDevice[] {
    return this.#given.map((_, at) => this.#found(at, last[at]));
  }

  /**
   * Brings devices into the mode that a mount of this generation needs, the primary first.
   * PRECONDITION, BUSY or IO names it if it cannot be had; then nothing was moved.
   */
  prepare(devices: readonly AssignedDevice[], generation: Generation): PreparedDevices {
    const switched: string[] = [];
    const prepared = devices.map((one, at) => this.#prepared(at, one, generation, switched));
    return { devices: prepared, switched };
  }

  /**
   * For a mount that is there already: what it has stays as it is; what it has not is looked for,
   * since it may be new in the list, or have come meanwhile.
   */
  refresh(had: PreparedDevices, generation: Generation): PreparedDevices {
    const switched = [...had.switched];
    const devices = this.#given.map((_, at) => {
      const device = had.devices[at];
      if (device !== undefined && at === 0) return device;
      const found = this.#found(at, device);
      // By uuid, one that the kernel has may not be found any more.
      const isThere =
        found.path === device?.path || (device?.uuid !== undefined && found.problem !== undefined);
      if (device !== undefined && device.problem === undefined && isThere) return device;
      return this.#prepared(at, found, generation, switched);
    });
    return { devices, switched };
  }

  /** After the mount: to devdax, as far as it goes. */
  putBack(switched: readonly string[]): void {
    for (const path of switched) {
      try {
        this.#daxdevs.putBack(path);
        this.#log.info({ device: path }, 'device is back in devdax mode');
      } catch (error) {
        this.#log.error({ device: path }, messageOf(error));
      }
    }
  }

  #found(at: number, last: AssignedDevice | undefined): AssignedDevice {
    const given = this.#given[at] ?? '';
    return this.#trying(at, given, () => {
      const uuid = givenUuid(given);
      const path = this.#pathOf(given, last?.path, this.#daxdevs);
      return { path, ...(uuid === undefined ? {} : { uuid }) };
    });
  }

  #prepared(
    at: number,
    device: AssignedDevice,
    generation: Generation,
    switched: string[],
  ): AssignedDevice {
    // Those that the kernel cannot use stay as they are; so does the file of an emulated fabric.
    const isUsed = at < dataPathOf(generation).devicesMax && this.#daxdevs.has(device.path);
    if (device.problem !== undefined || !isUsed) return device;
    return this.#trying(at, device.path, () => {
      if (this.#bring(device.path, generation)) switched.push(device.path);
      return device;
    });
  }

  /** True when the device was moved to fsdev mode, and is to be put back. */
  #bring(path: string, generation: Generation): boolean {
    const { driver } = this.#daxdevs.get(path);
    if (generation !== 'buffered' && this.#daxdevs.hasFsdev) {
      if (driver === 'fsdev_dax') return false;
      this.#daxdevs.switchTo(path, 'fsdev');
      this.#log.info({ device: path }, 'device was moved to fsdev mode');
      return true;
    }
    if (driver === 'fsdev_dax') {
      throw new Fault(
        'PRECONDITION',
        `device ${path}: is in fsdev mode, for a famfs mount, and the ${generation} path maps it ` +
          'raw; when nothing has it mounted: daxctl reconfigure-device --mode=devdax',
      );
    }
    this.#daxdevs.switchTo(path, 'devdax');
    return false;
  }

  #trying(at: number, path: string, run: () => AssignedDevice): AssignedDevice {
    try {
      return run();
    } catch (error) {
      if (at === 0) throw error;
      const problem = messageOf(error);
      this.#log.error({ device: path, devindex: at }, problem);
      return { path, problem };
    }
  }
}
