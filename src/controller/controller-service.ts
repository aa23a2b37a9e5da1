import { Fault, isFault } from '../base/errors.ts';
import { checkCapabilities, checkCapability, requireCapabilities } from '../csi/capability.ts';
import { DRIVER_NAME } from '../csi/identity.ts';
import type { Handlers, RequestOf } from '../csi/rpc.ts';
import { fabricKey, fabricTopology, isPermitted, isReachable } from '../csi/topology.ts';
import { quantity, required } from '../csi/validation.ts';
import {
  decodeDataPath,
  encodePublishContext,
  encodeVolumeContext,
} from '../csi/volume-context.ts';
import { parseParameters } from './parameters.ts';
import type { PoolCondition } from './pool-health.ts';
import type { Volume } from './volume.ts';
import type { VolumeAttachments } from './volume-attachments.ts';
import type { Volumes } from './volumes.ts';

export interface ControllerServiceOptions {
  readonly volumes: Volumes;
  readonly attachments: VolumeAttachments;
  /** In the topology's labels; default `csi.famfs.io`. */
  readonly driverName?: string;
  /** Told of what users have to know where they look: see `Announcements`. */
  readonly announce?: Announcements;
}

/** What a request has shown that concerns others than its caller. Never throws, never waits. */
export interface Announcements {
  /** A volume was refused because its pool or log is full; `parameters` name the claim. */
  poolFull(message: string, parameters: Readonly<Record<string, string>>): void;
  /** A volume that needs the dax path is attached to that node. */
  attachedForDax(volumeId: string, nodeId: string): void;
}

const CAPABILITIES = [
  'CREATE_DELETE_VOLUME',
  'PUBLISH_UNPUBLISH_VOLUME',
  'PUBLISH_READONLY',
  'LIST_VOLUMES',
  'LIST_VOLUMES_PUBLISHED_NODES',
  'GET_CAPACITY',
  'GET_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'VOLUME_CONDITION',
] as const;

const AN_ID = 'the id of a volume';

/** CSI's Controller service: checks the request, makes one call of the domain, shapes the reply. */
export function controllerService(options: ControllerServiceOptions): Handlers<'Controller'> {
  return { ...changes(options), ...questions(options) };
}

function changes(options: ControllerServiceOptions): Handlers<'Controller'> {
  const { volumes, attachments, announce, driverName = DRIVER_NAME } = options;
  return {
    createVolume: async (request) => {
      const { name, dataPath, ...wanted } = checkCreate(request);
      checkReach(driverName, volumes.fsUuidOf(wanted.pool), request);
      const volume = await volumes.create({ name, ...wanted }).catch((error: unknown) => {
        if (isFault(error) && (error.code === 'NO_SPACE' || error.code === 'LOG_FULL')) {
          announce?.poolFull(error.message, request.parameters);
        }
        throw error;
      });
      const { id, pool, fsUuid, sizeBytes, logPosition, logGeneration } = volume;
      const context = { pool, fsUuid, path: id, logPosition, logGeneration, dataPath };
      return {
        volume: {
          volume_id: id,
          capacity_bytes: sizeBytes,
          volume_context: encodeVolumeContext(context),
          accessible_topology: [fabricTopology(driverName, [fsUuid])],
        },
      };
    },

    deleteVolume: async (request) => {
      await volumes.delete(required('volume_id', request.volume_id, AN_ID));
      return {};
    },

    controllerPublishVolume: async (request) => {
      const volumeId = required('volume_id', request.volume_id, AN_ID);
      const nodeId = required('node_id', request.node_id, 'the id of a node');
      const { volume_context: context, volume_capability: capability } = request;
      const dataPath = decodeDataPath('volume_context.dataPath', context);
      const access = checkCapability('volume_capability', capability, dataPath);
      const readonly = request.readonly || access.readOnly;
      await attachments.attach({ volumeId, nodeId, readonly, mode: access.mode, dataPath });
      if (dataPath === 'dax') announce?.attachedForDax(volumeId, nodeId);
      return { publish_context: encodePublishContext({ readonly }) };
    },

    controllerUnpublishVolume: async (request) => {
      const volumeId = required('volume_id', request.volume_id, AN_ID);
      await attachments.detach(volumeId, request.node_id === '' ? undefined : request.node_id);
      return {};
    },
  };
}

function questions(options: ControllerServiceOptions): Handlers<'Controller'> {
  const { volumes, attachments, driverName = DRIVER_NAME } = options;
  return {
    validateVolumeCapabilities: (request) => {
      const volumeId = required('volume_id', request.volume_id, AN_ID);
      requireCapabilities('volume_capabilities', request.volume_capabilities);
      const problem = problemOf(request, volumes.get(volumeId));
      if (problem !== undefined) return { message: problem };
      const { volume_context, volume_capabilities, parameters } = request;
      return { confirmed: { volume_context, volume_capabilities, parameters } };
    },

    listVolumes: async ({ starting_token: token, max_entries: maxEntries }) => {
      if (maxEntries < 0) {
        throw new Fault('INVALID', `max_entries: found ${maxEntries}, expected 0 or more`);
      }
      const nodes = await attachments.nodesByVolume();
      const { volumes: page, nextToken } = volumes.list(token, maxEntries, nodes.keys());
      const entries = page.map((volume) =>
        described(volume, volumes.conditionOf(volume), nodes.get(volume.id)),
      );
      return { entries, next_token: nextToken };
    },

    controllerGetVolume: async (request) => {
      const volume = volumes.get(required('volume_id', request.volume_id, AN_ID));
      const nodes = await attachments.nodesByVolume();
      return described(volume, volumes.conditionOf(volume), nodes.get(volume.id));
    },

    getCapacity: (request) => {
      const { parameters, volume_capabilities: capabilities, accessible_topology: from } = request;
      const { pool, layout } = parseParameters(parameters);
      const servable = !capabilities.some((capability) => capability.block);
      // What can be allocated at once, not the sum of what is free: a volume is never split up.
      const isReached = (fsUuid: string) => isReachable(driverName, fsUuid, from);
      const largest = servable ? volumes.largestPossible(pool, layout, isReached) : 0;
      return { available_capacity: largest, maximum_volume_size: { value: largest } };
    },

    controllerGetCapabilities: () => ({
      capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })),
    }),
  };
}

function checkCreate(request: RequestOf<'Controller', 'CreateVolume'>) {
  const name = required('name', request.name, 'the name of the new volume');
  const { dataPath, ...storageClass } = parseParameters(request.parameters);
  checkCapabilities('volume_capabilities', request.volume_capabilities, dataPath);
  if (request.volume_content_source) {
    throw new Fault(
      'INVALID',
      'volume_content_source: snapshots and clones are not supported; make the volume empty and ' +
        'copy the data in',
    );
  }
  const [mutable] = Object.keys(request.mutable_parameters);
  if (mutable !== undefined) {
    throw new Fault(
      'INVALID',
      `mutable_parameters.${mutable}: volumes cannot be modified; remove the VolumeAttributesClass`,
    );
  }
  return { name, dataPath, ...storageClass, ...checkRange(request.capacity_range) };
}

/** NO_SPACE, as the specification has it, where no permitted node reaches the pool's memory. */
function checkReach(
  driverName: string,
  fsUuid: string,
  { accessibility_requirements: places }: RequestOf<'Controller', 'CreateVolume'>,
): void {
  if (isPermitted(driverName, fsUuid, places)) return;
  throw new Fault(
    'NO_SPACE',
    'accessibility_requirements: the pool is reached from nodes with ' +
      `${fabricKey(driverName, fsUuid)}=true, and the request permits none of them; use a pool ` +
      'of the fabric that those nodes are on, or let the pod run on others',
  );
}

function checkRange(range: RequestOf<'Controller', 'CreateVolume'>['capacity_range']) {
  const requiredBytes = quantity('capacity_range.required_bytes', range?.required_bytes ?? '0');
  const limitBytes = quantity('capacity_range.limit_bytes', range?.limit_bytes ?? '0');
  if (limitBytes > 0 && requiredBytes > limitBytes) {
    throw new Fault(
      'INVALID',
      `capacity_range: found required_bytes ${requiredBytes} above limit_bytes ${limitBytes}, ` +
        'expected a range that a size fits',
    );
  }
  return { requiredBytes, limitBytes };
}

/** Why the volume cannot serve what is asked, which is an answer and no error; or undefined. */
function problemOf(
  request: RequestOf<'Controller', 'ValidateVolumeCapabilities'>,
  volume: Volume,
): string | undefined {
  const { volume_context: context, parameters, volume_capabilities: capabilities } = request;
  for (const key of ['pool', 'fsUuid'] as const) {
    const found = context[key];
    if (found !== undefined && found !== volume[key]) {
      return `volume_context.${key}: found "${found}", expected ${volume[key]}`;
    }
  }
  try {
    parseParameters(parameters);
    const dataPath = decodeDataPath('volume_context.dataPath', { ...parameters, ...context });
    checkCapabilities('volume_capabilities', capabilities, dataPath);
    return undefined;
  } catch (error) {
    if (isFault(error) && error.code === 'INVALID') return error.message;
    throw error;
  }
}

function described(volume: Volume, condition: PoolCondition, nodes: readonly string[] = []) {
  return {
    volume: { volume_id: volume.id, capacity_bytes: volume.sizeBytes },
    status: { published_node_ids: [...nodes], volume_condition: condition },
  };
}
