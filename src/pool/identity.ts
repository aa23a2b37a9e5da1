import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { formatUuid, parseUuid } from '../base/uuid.ts';

/** Where the reference tools keep this host's identity. */
const REFERENCE_FILE = '/opt/famfs/system_uuid';
const MACHINE_ID_FILE = '/etc/machine-id';
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Who this writer is: what mkfs records as the pool's master, and what a writer's identity must
 * equal to append. In order: the text given, the reference tools' host file, a uuid derived from
 * the machine id, or else from the host's name. A cluster gives all its controllers one text.
 */
export function systemUuid(given?: string): string {
  if (given !== undefined) return formatUuid(parseUuid('--system-uuid', given));
  const recorded = readText(REFERENCE_FILE);
  if (recorded !== undefined) return formatUuid(parseUuid(REFERENCE_FILE, recorded));
  return nameUuid(readText(MACHINE_ID_FILE) ?? hostname());
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** A uuid of version 8 (RFC 9562): the machine id itself is not to be published. */
function nameUuid(name: string): string {
  const bytes = createHash('sha256').update(`csi.famfs.io/system/${name}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/** A host as the owner of a log: what shares its caches and its device locks. */
export interface HostIdentity {
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** It is a node of a cluster, which says when a host with this id is over. */
  readonly isNode?: boolean;
}

/**
 * This host, until it boots again. All its containers find the same, and none that another host
 * finds; what a host of this identity stored is gone or in memory once it has booted.
 */
export function hostIdentity(): HostIdentity {
  const name = hostname();
  return { id: readText(BOOT_ID_FILE) ?? nameUuid(name), name };
}
