import { Fault } from '../base/errors.ts';
import {
  _csi_v1_VolumeCapability_AccessMode_Mode as MODE,
  type VolumeCapability,
} from './generated/csi/v1/VolumeCapability.ts';

export type AccessMode = Exclude<keyof typeof MODE, 'UNKNOWN'>;
export const ACCESS_MODES = Object.keys(MODE).filter(
  (mode): mode is AccessMode => mode !== 'UNKNOWN',
);

/** What a StorageClass demands: `dax`, loads and stores on the memory, or `any`: buffered too. */
export type DataPathDemand = 'dax' | 'any';

/** A volume capability that this driver can serve, checked. */
export interface Access {
  readonly mode: AccessMode;
  /** The mode, or the mount flag `ro`, rules out writing. */
  readonly readOnly: boolean;
}

/**
 * Checks one `VolumeCapability` of a request. INVALID names the field below `field`: no access
 * mode, volumeMode Block, another file system than famfs, mount flags besides `ro` and `rw`, or
 * an access mode that the data path cannot keep.
 */
export function checkCapability(
  field: string,
  capability: VolumeCapability | null,
  dataPath: DataPathDemand,
): Access {
  if (capability === null) {
    throw new Fault('INVALID', `${field}: missing, expected a mount volume and an access mode`);
  }
  const { block, mount } = capability;
  if (block) {
    throw new Fault(
      'INVALID',
      `${field}.block: famfs shares files, not block devices; use volumeMode: Filesystem`,
    );
  }
  if (!mount) {
    throw new Fault('INVALID', `${field}.access_type: missing, expected mount`);
  }
  if (mount.fs_type !== '' && mount.fs_type !== 'famfs') {
    throw new Fault(
      'INVALID',
      `${field}.mount.fs_type: found "${mount.fs_type}", expected famfs or nothing`,
    );
  }
  const mode = checkMode(`${field}.access_mode.mode`, capability.access_mode?.mode, dataPath);
  const flaggedReadOnly = checkMountFlags(`${field}.mount.mount_flags`, mount.mount_flags);
  const readOnly = flaggedReadOnly || isReadOnlyMode(mode);
  return { mode, readOnly };
}

/** Every capability of a request; INVALID when there is none. */
export function checkCapabilities(
  field: string,
  capabilities: readonly VolumeCapability[],
  dataPath: DataPathDemand,
): Access[] {
  requireCapabilities(field, capabilities);
  return capabilities.map((one, at) => checkCapability(`${field}[${at}]`, one, dataPath));
}

export function requireCapabilities(
  field: string,
  capabilities: readonly VolumeCapability[],
): void {
  if (capabilities.length === 0) {
    throw new Fault('INVALID', `${field}: missing, expected at least one volume capability`);
  }
}

export function isSingleNode(mode: AccessMode): boolean {
  return mode.startsWith('SINGLE_NODE_');
}

function isReadOnlyMode(mode: AccessMode): boolean {
  return mode.endsWith('_READER_ONLY');
}

/** `mode` is a string of the enum, a number that the enum lacks, or undefined. */
function checkMode(field: string, mode: unknown, dataPath: DataPathDemand): AccessMode {
  const known = ACCESS_MODES.find((one) => one === mode);
  if (known === undefined) {
    throw new Fault(
      'INVALID',
      `${field}: ${mode === undefined ? 'missing' : `found ${mode}`}, expected one of ` +
        ACCESS_MODES.join(', '),
    );
  }
  if (known === 'MULTI_NODE_MULTI_WRITER' && dataPath !== 'dax') {
    throw new Fault(
      'INVALID',
      `${field}: found ${known}, but a volume with dataPath ${dataPath} may be served through ` +
        'page caches: between nodes its files are close-to-open with one writing node; ' +
        'use dataPath: dax, or ReadWriteOnce or ReadOnlyMany',
    );
  }
  return known;
}

function checkMountFlags(field: string, flags: readonly string[]): boolean {
  const given = flags.flatMap((flag) => flag.split(',')).filter((flag) => flag !== '');
  const unknown = given.find((flag) => flag !== 'ro' && flag !== 'rw');
  if (unknown !== undefined) {
    throw new Fault(
      'INVALID',
      `${field}: found "${unknown}", expected ro or rw; nosuid and nodev are always set, ` +
        'other mount options have no effect on famfs: remove them from mountOptions',
    );
  }
  if (given.includes('ro') && given.includes('rw')) {
    throw new Fault('INVALID', `${field}: found both ro and rw, expected one of them`);
  }
  return given.includes('ro');
}
