import type { Sysfs } from '../../src/native/sysfs.ts';

const DEVICES = '/sys/bus/dax/devices';
const DRIVERS = '/sys/bus/dax/drivers';

interface FakeDaxdev {
  driver: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The dax bus as the kernel keeps it: bind, unbind, new_id and remove_id do what they do there. */
export class FakeDaxBus implements Sysfs {
  readonly devices = new Map<string, FakeDaxdev>();
  readonly drivers = new Map<string, Set<string>>();
  readonly writes: string[] = [];
  /** A write to this attribute of a driver fails with the code, once for each time it is listed. */
  failures: { attribute: string; code: string }[] = [];

  constructor(drivers: readonly string[]) {
    for (const driver of drivers) this.drivers.set(driver, new Set());
  }

  add(name: string, driver: string | undefined, attributes: Record<string, string> = {}): void {
    this.devices.set(name, { driver, attributes });
  }

  driverOf(name: string): string | undefined {
    return this.devices.get(name)?.driver;
  }

  read(path: string): string | undefined {
    const [name = '', attribute = ''] = path.slice(DEVICES.length + 1).split('/');
    return this.devices.get(name)?.attributes[attribute];
  }

  list(path: string): string[] {
    if (path === DEVICES) return [...this.devices.keys()];
    return path === DRIVERS ? [...this.drivers.keys()] : [];
  }

  link(path: string): string | undefined {
    return this.driverOf(path.slice(DEVICES.length + 1).split('/')[0] ?? '');
  }

  write(path: string, value: string): void {
    const [driver = '', attribute = ''] = path.slice(DRIVERS.length + 1).split('/');
    this.writes.push(`${driver}/${attribute} ${value}`);
    const at = this.failures.findIndex((failure) => failure.attribute === attribute);
    const [failure] = at < 0 ? [] : this.failures.splice(at, 1);
    if (failure) throw errno(failure.code);
    const device = this.devices.get(value);
    const ids = this.drivers.get(driver);
    if (!device || !ids) throw errno('ENODEV');
    this.#act(attribute, driver, value, device, ids);
  }

  #act(
    attribute: string,
    driver: string,
    name: string,
    device: FakeDaxdev,
    ids: Set<string>,
  ): void {
    if (attribute === 'unbind') {
      if (device.driver !== driver) throw errno('ENODEV');
      device.driver = undefined;
    } else if (attribute === 'new_id') {
      ids.add(name);
      device.driver ??= driver;
    } else if (attribute === 'remove_id') {
      ids.delete(name);
    } else if (attribute === 'bind') {
      if (device.driver !== undefined) throw errno('EBUSY');
      // device_dax takes every device; the others those that they were told of.
      if (driver !== 'device_dax' && !ids.has(name)) throw errno('ENODEV');
      device.driver = driver;
    }
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
