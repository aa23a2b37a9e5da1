import { Fault, messageOf } from '../base/errors.ts';
import { type Sysfs, sysfs } from '../native/sysfs.ts';

const DEVICES = '/sys/bus/dax/devices';
const DRIVERS = '/sys/bus/dax/drivers';

/** How the kernel offers a daxdev: mapped raw by a process, or held by a famfs mount. */
export type DaxMode = 'devdax' | 'fsdev';
const DRIVER_OF: Readonly<Record<DaxMode, string>> = { devdax: 'device_dax', fsdev: 'fsdev_dax' };

/** One daxdev as sysfs describes it; sizes in bytes. */
export interface Daxdev {
  /** As in `dax0.0`: another host may have another name for the same memory. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** The device's own alignment of mappings; 0 where the kernel does not tell. */
  readonly alignBytes: number;
  /** `device_dax`, `fsdev_dax`, `kmem` (system memory), or undefined: bound to none. */
  readonly driver: string | undefined;
  readonly numaNode: number | undefined;
}

/** Who uses a device now, for messages; empty: nobody that can be seen. */
export type FindUsers = (path: string) => readonly string[];

/**
 * The daxdevs of this host and their drivers (fuse-famfs-abi.md, "Device modes").
 *
 * Invariants:
 * - A driver is never unbound from a device that somebody has open, mapped or mounted: the kernel
 *   would oops.
 * - A switch that fails half-way leaves the device as it was, or says that it could not.
 */
export class Daxdevs {
  readonly #sysfs: Sysfs;
  readonly #findUsers: FindUsers;

  constructor(findUsers: FindUsers, tree: Sysfs = sysfs) {
    this.#findUsers = findUsers;
    this.#sysfs = tree;
  }

  list(): Daxdev[] {
    return this.#sysfs
      .list(DEVICES)
      .sort()
      .map((name) => this.#describe(name));
  }

  /** Whether a path is a device of this host: the file of an emulated fabric is none. */
  has(path: string): boolean {
    return this.list().some((one) => one.path === path);
  }

  /** The device behind a path such as `/dev/dax0.0`; NOT_FOUND lists what there is. */
  get(path: string): Daxdev {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (this.#sysfs.list(DEVICES).includes(name)) return this.#describe(name);
    const there = this.list().map((one) => one.path);
    throw new Fault(
      'NOT_FOUND',
      `device ${path}: this host has no such dax device; it has: ${there.join(', ') || 'none'}`,
    );
  }

  /** Whether this kernel has famfs mounts hold devices by a driver of their own (Linux ≥ 7.0). */
  get hasFsdev(): boolean {
    return this.#sysfs.list(DRIVERS).includes(DRIVER_OF.fsdev);
  }

  /**
   * Brings a device into a mode; also one that a crash left without a driver. Returns how to undo
   * it. BUSY names who uses the device; PRECONDITION a device that is system memory, or a mode
   * that this kernel has no driver for.
   */
  switchTo(path: string, mode: DaxMode): { restore(): void } {
    const { name, driver } = this.get(path);
    const wanted = DRIVER_OF[mode];
    if (driver === wanted) return { restore: () => {} };
    this.#checkSwitch(path, driver, wanted);
    this.#checkUnused(path);
    try {
      this.#rebind(name, driver, wanted);
    } catch (error) {
      this.#putBack(name, wanted, driver);
      throw new Fault(
        'IO',
        `device ${path}: could not be moved from ${driver ?? 'no driver'} to ${wanted} ` +
          `(${messageOf(error)}); it is with ${this.get(path).driver ?? 'no driver'} now`,
        { cause: error },
      );
    }
    return { restore: () => this.#putBack(name, wanted, driver) };
  }

  /**
   * Gives back to devdax what `switchTo` moved to fsdev, in this process or one before it. The
   * caller knows that no mount has the device: nothing here can see one. BUSY, IO as there.
   */
  putBack(path: string): void {
    if (this.get(path).driver === DRIVER_OF.devdax) return;
    this.#checkUnused(path);
    this.#putBack(this.get(path).name, DRIVER_OF.fsdev, DRIVER_OF.devdax);
    const { driver } = this.get(path);
    if (driver === DRIVER_OF.devdax) return;
    throw new Fault(
      'IO',
      `device ${path}: could not be put back to devdax mode; it is with ` +
        `${driver ?? 'no driver'} now; use daxctl reconfigure-device --mode=devdax`,
    );
  }

  #checkSwitch(path: string, driver: string | undefined, wanted: string): void {
    if (!this.#sysfs.list(DRIVERS).includes(wanted)) {
      throw new Fault(
        'PRECONDITION',
        `device ${path}: this kernel has no ${wanted} driver; load its module, or leave the ` +
          'device in its mode',
      );
    }
    if (driver === 'kmem') {
      throw new Fault(
        'PRECONDITION',
        `device ${path}: its memory is in use as system memory (kmem); take it offline first: ` +
          'daxctl reconfigure-device --mode=devdax',
      );
    }
  }

  #checkUnused(path: string): void {
    const users = this.#findUsers(path);
    if (users.length > 0) {
      throw new Fault(
        'BUSY',
        `device ${path}: is used by ${users.join(', ')}; its mode is not changed while it is ` +
          'open, mapped or mounted',
      );
    }
  }

  #rebind(name: string, from: string | undefined, to: string): void {
    if (from !== undefined) this.#sysfs.write(`${DRIVERS}/${from}/unbind`, name);
    this.#sysfs.write(`${DRIVERS}/${to}/new_id`, name);
    // new_id binds it already on some kernels, and then this fails: the driver's link decides.
    let failure: unknown;
    try {
      this.#sysfs.write(`${DRIVERS}/${to}/bind`, name);
    } catch (error) {
      failure = error;
    }
    if (this.#describe(name).driver !== to) throw failure ?? new Error(`${to} did not take it`);
  }

  /** As far as it goes: what it could not do is seen by the caller, who looks at the device. */
  #putBack(name: string, from: string, to: string | undefined): void {
    const steps: [path: string, when: boolean][] = [
      [`${DRIVERS}/${from}/unbind`, this.#describe(name).driver === from],
      [`${DRIVERS}/${from}/remove_id`, true],
      [`${DRIVERS}/${to ?? DRIVER_OF.devdax}/bind`, true],
    ];
    for (const [path, when] of steps) {
      try {
        if (when) this.#sysfs.write(path, name);
      } catch {
        // The next step may still help; `switchTo` reports the driver that the device has then.
      }
    }
  }

  #describe(name: string): Daxdev {
    const at = `${DEVICES}/${name}`;
    const number = (attribute: string) => {
      const text = this.#sysfs.read(`${at}/${attribute}`);
      return text === undefined ? undefined : Number(text);
    };
    const node = number('target_node') ?? number('numa_node');
    return {
      name,
      path: `/dev/${name}`,
      sizeBytes: number('size') ?? 0,
      alignBytes: number('align') ?? 0,
      driver: this.#sysfs.link(`${at}/driver`),
      numaNode: node === undefined || node < 0 ? undefined : node,
    };
  }
}
