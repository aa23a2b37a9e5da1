import { Fault } from '../base/errors.ts';
import type { DataPathDemand } from './capability.ts';
import { agreesWithHandle, isVolumeDirectory, parseStaticHandle } from './volume-handle.ts';

/** What the controller tells nodes about a volume, in the PersistentVolume's `volumeAttributes`. */
export interface VolumeContext {
  /** The pool's name, the same in the controller's and the mounters' configuration. */
  readonly pool: string;
  /** The uuid in the pool's superblock: a pool that was formatted anew is another one. */
  readonly fsUuid: string;
  /** The volume's directory, relative to the pool's root. */
  readonly path: string;
  /** A node must have applied the log up to here before the volume is there. */
  readonly logPosition: number;
  /** Which generation of the log that is a position of. */
  readonly logGeneration: number;
  readonly dataPath: DataPathDemand;
}

type StringMap = Readonly<Record<string, string>>;

export function encodeVolumeContext(context: VolumeContext): Record<string, string> {
  const { logPosition, logGeneration } = context;
  return {
    ...context,
    logPosition: String(logPosition),
    logGeneration: String(logGeneration),
  };
}

/**
 * The inverse. PersistentVolumes made by hand may leave out `fsUuid` (empty: not checked), `path`
 * (the volume id), `logPosition` and `logGeneration` (0), and `dataPath` (dax); where the volume id
 * is a static handle, `pool` too. INVALID names the key.
 */
export function decodeVolumeContext(volumeId: string, context: StringMap): VolumeContext {
  const handle = parseStaticHandle(volumeId);
  const { fsUuid = '' } = context;
  const pool = handle ? agreesWithHandle('pool', context.pool, handle.pool) : (context.pool ?? '');
  const path = handle
    ? agreesWithHandle('path', context.path, handle.path)
    : (context.path ?? volumeId);
  if (pool === '') {
    throw new Fault('INVALID', 'volume_context.pool: missing, expected the name of a pool');
  }
  if (!isVolumeDirectory(path)) {
    throw new Fault(
      'INVALID',
      `volume_context.path: found "${path}", expected a directory below the pool's root`,
    );
  }
  const dataPath = decodeDataPath('volume_context.dataPath', context);
  const logPosition = numberAt('logPosition', context);
  const logGeneration = numberAt('logGeneration', context);
  return { pool, fsUuid, path, logPosition, logGeneration, dataPath };
}

function numberAt(key: string, context: StringMap): number {
  const text = context[key] ?? '0';
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new Fault('INVALID', `volume_context.${key}: found "${text}", expected a number`);
}

/** The data path that a StorageClass or a PersistentVolume demands; `dax` unless it says `any`. */
export function decodeDataPath(field: string, map: StringMap): DataPathDemand {
  const { dataPath = 'dax' } = map;
  if (dataPath !== 'dax' && dataPath !== 'any') {
    throw new Fault('INVALID', `${field}: found "${dataPath}", expected dax or any`);
  }
  return dataPath;
}

/** What ControllerPublishVolume tells the one node. */
export interface PublishContext {
  readonly readonly: boolean;
}

export function encodePublishContext(context: PublishContext): Record<string, string> {
  return { readonly: String(context.readonly) };
}

/** The inverse; a driver without attachments has no publish context: then it is writable. */
export function decodePublishContext(context: StringMap): PublishContext {
  const { readonly = 'false' } = context;
  if (readonly !== 'true' && readonly !== 'false') {
    throw new Fault(
      'INVALID',
      `publish_context.readonly: found "${readonly}", expected true or false`,
    );
  }
  return { readonly: readonly === 'true' };
}
