import { readlinkSync } from 'node:fs';
import { codeOf } from '../../src/base/errors.ts';
import type { RuleBook } from './rules.ts';

/** A device node or file of a host, under its path there. */
export interface HostDevice {
  readonly path: string;
  /** A character device or a file that is not dax is neither. */
  readonly kind: 'daxdev' | 'character' | 'file';
  /** famfs needs `fsdev_dax`; `device_dax` is for raw mappings. */
  driver: 'fsdev_dax' | 'device_dax' | undefined;
  /** The connection that has it. */
  holder: Connection | undefined;
  /** Mappings of files on it. */
  mappings: number;
  /** A memory error blocks all of it for new faults and reads. */
  isPoisoned: boolean;
}

/** Whoever holds devices: one FUSE connection. */
export interface Connection {
  readonly rules: RuleBook;
}

/** The devices of one host, which all its mounts share, and the memory behind them. */
export class Host {
  readonly #devices = new Map<string, HostDevice>();
  /** Bytes that were stored through mappings, by device and offset. */
  readonly memory = new Map<string, number>();

  add(path: string, kind: HostDevice['kind'] = 'daxdev'): HostDevice {
    const driver = kind === 'daxdev' ? ('fsdev_dax' as const) : undefined;
    const device = { path, kind, driver, holder: undefined, mappings: 0, isPoisoned: false };
    this.#devices.set(path, device);
    return device;
  }

  at(path: string): HostDevice | undefined {
    return this.#devices.get(path);
  }

  /** The device open as a descriptor of this process, by the path that it was opened at. */
  byDescriptor(fd: number): HostDevice | undefined {
    let path: string;
    try {
      path = readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw errno('EBADF');
      throw error;
    }
    return this.at(path);
  }

  /** What `echo dax0.0 > unbind` does. */
  unbind(path: string, rules: RuleBook): void {
    const device = this.at(path);
    if (device === undefined) throw errno('ENODEV');
    rules.apply('unbind', { path, mappings: device.mappings });
    device.driver = undefined;
  }
}

/** An error as a system call gives it. */
export function errno(code: string): Error & { code: string } {
  return Object.assign(new Error(code), { code });
}

const SLOTS = 64;

/** The devices of one connection, by their index in a pool. */
export class DeviceSlots {
  readonly #host: Host;
  readonly #owner: Connection;
  readonly #slots = new Map<number, HostDevice | 'failed'>();

  constructor(host: Host, owner: Connection) {
    this.#host = host;
    this.#owner = owner;
  }

  /** Undefined where there is none, or where it could not be acquired. */
  at(index: number): HostDevice | undefined {
    const slot = this.#slots.get(index);
    return slot === 'failed' ? undefined : slot;
  }

  /** Pull: GET_DAXDEV is sent until it has led to a device, or to a failure that sticks. */
  isUnknown(index: number): boolean {
    return !this.#slots.has(index);
  }

  /** DAXDEV_OPEN of a connection that has agreed on FUSE_DAX_FMAP. */
  register(fd: number, index: number): void {
    this.give(this.#host.byDescriptor(fd), index);
  }

  /** The same for a device that no file of this machine stands for. */
  give(device: HostDevice | undefined, index: number): void {
    if (index >= SLOTS) throw errno('EINVAL');
    if (device === undefined || device.kind === 'file') throw errno('EINVAL');
    if (device.kind === 'character') throw errno('ENODEV');
    if (this.#slots.get(index) === device) return;
    if (this.#slots.has(index) || device.holder === this.#owner) throw errno('EBUSY');
    const isHeldElsewhere = device.holder !== undefined;
    const breach = this.#owner.rules.apply('register', { path: device.path, isHeldElsewhere });
    if (breach?.errno !== undefined) throw errno(breach.errno);
    if (device.driver !== 'fsdev_dax') throw errno('ENODEV');
    device.holder = this.#owner;
    this.#slots.set(index, device);
  }

  /**
   * Pull: the server named a path. `sees`: whether the process whose open() led here can reach it.
   * A path that leads nowhere is asked for again; a device that cannot be had, never.
   */
  resolve(index: number, payload: Uint8Array, sees: (path: string) => boolean): void {
    const { rules } = this.#owner;
    const name = Buffer.from(payload.subarray(24));
    const end = name.indexOf(0);
    const path = name.subarray(0, end < 0 ? undefined : end).toString();
    const device = this.#host.at(path);
    const found = device && (device.kind === 'daxdev' ? 'daxdev' : 'other');
    const isInSight = sees(path);
    const isHeldElsewhere = device?.holder !== undefined && device.holder !== this.#owner;
    const breach = rules.apply('daxdev', {
      payloadBytes: payload.length,
      path,
      found,
      isInSight,
      isHeldElsewhere,
    });
    if (breach?.id === 'daxdev-280' || device === undefined || !isInSight) return;
    const isUsable = found === 'daxdev' && !isHeldElsewhere && device.driver === 'fsdev_dax';
    this.#slots.set(index, isUsable ? device : 'failed');
    if (isUsable) device.holder = this.#owner;
  }

  /** When every descriptor, mapping and mount of the connection is gone. */
  release(): void {
    for (const slot of this.#slots.values()) {
      if (slot !== 'failed' && slot.holder === this.#owner) slot.holder = undefined;
    }
    this.#slots.clear();
  }
}
