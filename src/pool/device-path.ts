import { realpathSync, statSync } from 'node:fs';
import { codeOf, Fault, isFault, messageOf } from '../base/errors.ts';
import { formatUuid, parseUuid } from '../base/uuid.ts';
import { deviceFolder, Mapping } from '../native/mapping.ts';
import { usersOf } from '../native/proc.ts';
import { type Sysfs, sysfs } from '../native/sysfs.ts';
import { Daxdevs } from './daxdevs.ts';
import { superblockOn } from './secondary-devices.ts';

const BY_UUID = 'uuid:';

/** The uuid that a device is given by, if it is. INVALID for what is none. */
export function givenUuid(given: string): string | undefined {
  if (!given.startsWith(BY_UUID)) return undefined;
  return formatUuid(parseUuid('device uuid', given.slice(BY_UUID.length)));
}

/**
 * The path of a device that is given as a path, or as `uuid:UUID`: the same memory has other names
 * on other hosts. Looked for among the dax devices that can be mapped. `last` is where it was when
 * a mounter that is no more left it in fsdev mode or without a driver: the caller checks its uuid.
 * NOT_FOUND; INVALID for a character device that is not dax: pull kernels WARN on those;
 * PRECONDITION when two devices have the uuid.
 */
export function devicePath(
  given: string,
  last?: string,
  daxdevs: Daxdevs = new Daxdevs(usersOf),
  deviceUuidOf: (path: string) => string | undefined = readDeviceUuid,
): string {
  const uuid = givenUuid(given);
  if (uuid === undefined) return checkedPath(given);
  const found: string[] = [];
  const unread: string[] = [];
  let left: string | undefined;
  for (const { path, driver } of daxdevs.list()) {
    if (driver !== 'device_dax') {
      if (driver !== 'kmem' && path === last) left = path;
      unread.push(`${path} (${driver ?? 'no driver'})`);
      continue;
    }
    try {
      if (deviceUuidOf(path) === uuid) found.push(path);
    } catch (error) {
      unread.push(`${path} (${messageOf(error)})`);
    }
  }
  const [path = left, twin] = found;
  if (path === undefined) {
    const rest = unread.length === 0 ? '' : `; not looked at: ${unread.join(', ')}`;
    throw new Fault('NOT_FOUND', `device ${given}: no dax device of this host has it${rest}`);
  }
  if (twin === undefined) return path;
  const text = `found on ${found.join(' and ')}; one is a copy: give the path of the right one`;
  throw new Fault('PRECONDITION', `device ${given}: ${text}`);
}

/** The path without symbolic links, by which sysfs knows a device. */
export function checkedPath(path: string, tree: Sysfs = sysfs): string {
  let facts: ReturnType<typeof statSync>;
  try {
    facts = statSync(path);
  } catch (error) {
    throw new Fault('NOT_FOUND', `${path}: no such device or file (${codeOf(error)})`);
  }
  if (!facts?.isCharacterDevice()) return path;
  const bus = tree.link(`${deviceFolder(facts.rdev)}/subsystem`);
  if (bus === 'dax') return realpathSync(path);
  throw new Fault(
    'INVALID',
    `device ${path}: is a character device of ${bus ?? 'no bus'}, not of /sys/bus/dax; give a ` +
      'dax device such as /dev/dax0.0, or a file',
  );
}

/** Undefined where no famfs is. */
function readDeviceUuid(path: string): string | undefined {
  try {
    using memory = Mapping.open(path, { writable: false });
    return superblockOn(path, memory).deviceUuid;
  } catch (error) {
    if (isFault(error) && error.code === 'NOT_FAMFS') return undefined;
    throw error;
  }
}
