import { isAbsolute } from 'node:path';
import { Fault } from '../base/errors.ts';
import { checkCapability } from '../csi/capability.ts';
import type { TopologyInit } from '../csi/generated/csi/v1/Topology.ts';
import type { Handlers } from '../csi/rpc.ts';
import { required } from '../csi/validation.ts';
import {
  decodePublishContext,
  decodeVolumeContext,
  type VolumeContext,
} from '../csi/volume-context.ts';
import type { NodeVolumes } from './node-volumes.ts';

const SINGLE_TARGET_MODE = 'SINGLE_NODE_SINGLE_WRITER';

export interface NodeServiceOptions {
  readonly nodeId: string;
  readonly volumes: NodeVolumes;
  /** Which fabrics the node is on; waits until that is known. */
  readonly topology: (signal: AbortSignal) => Promise<TopologyInit>;
  /** Before any of a pool is given out: waits until the cluster knows that this node has it. */
  readonly registered?: (pool: string, signal: AbortSignal) => Promise<void>;
  /** Told why a volume could not be staged. Never throws, never waits. */
  readonly stageFailed?: (location: VolumeContext, error: unknown) => void;
}

/** The Node service: checks requests, makes one call of the domain, shapes the reply. */
export function nodeService(options: NodeServiceOptions): Handlers<'Node'> {
  return { ...answers(options), ...mounts(options) };
}

function answers({ nodeId, volumes, topology }: NodeServiceOptions): Handlers<'Node'> {
  return {
    nodeGetInfo: async (_, { signal }) => ({
      node_id: nodeId,
      accessible_topology: await topology(signal),
    }),

    nodeGetCapabilities: () => ({
      capabilities: [
        { rpc: { type: 'STAGE_UNSTAGE_VOLUME' } },
        { rpc: { type: 'GET_VOLUME_STATS' } },
        { rpc: { type: 'VOLUME_CONDITION' } },
        { rpc: { type: 'SINGLE_NODE_MULTI_WRITER' } },
      ],
    }),

    nodeGetVolumeStats: async (request) => {
      const path = required('volume_path', request.volume_path, 'an absolute path');
      const { bytes, files, problem } = await volumes.stats(volumeIdOf(request), path);
      // A volume's files are made with it and fill it: nothing of it is ever available.
      return {
        usage: [
          { unit: 'BYTES', total: String(bytes), used: String(bytes), available: '0' },
          { unit: 'INODES', total: String(files), used: String(files), available: '0' },
        ],
        volume_condition: { abnormal: problem !== undefined, message: problem ?? 'healthy' },
      };
    },
  };
}

function mounts({ volumes, registered, stageFailed }: NodeServiceOptions): Handlers<'Node'> {
  return {
    nodeStageVolume: async (request, { signal }) => {
      const volumeId = volumeIdOf(request);
      const stagingPath = pathOf('staging_target_path', request.staging_target_path);
      const location = decodeVolumeContext(volumeId, request.volume_context);
      const access = checkCapability(
        'volume_capability',
        request.volume_capability,
        location.dataPath,
      );
      const readOnly = access.readOnly || decodePublishContext(request.publish_context).readonly;
      try {
        await registered?.(location.pool, signal);
        await volumes.stage({ volumeId, stagingPath, location, readOnly }, signal);
      } catch (error) {
        stageFailed?.(location, error);
        throw error;
      }
      return {};
    },

    nodeUnstageVolume: async (request) => {
      const stagingPath = pathOf('staging_target_path', request.staging_target_path);
      await volumes.unstage(volumeIdOf(request), stagingPath);
      return {};
    },

    nodePublishVolume: async (request, { signal }) => {
      const volumeId = volumeIdOf(request);
      const stagingPath = pathOf('staging_target_path', request.staging_target_path);
      const targetPath = pathOf('target_path', request.target_path);
      const location = decodeVolumeContext(volumeId, request.volume_context);
      const { dataPath } = location;
      const access = checkCapability('volume_capability', request.volume_capability, dataPath);
      const readOnly = request.readonly || access.readOnly;
      const singleTarget = access.mode === SINGLE_TARGET_MODE;
      await volumes.publish(
        { volumeId, stagingPath, targetPath, location, readOnly, singleTarget },
        signal,
      );
      return {};
    },

    nodeUnpublishVolume: async (request) => {
      await volumes.unpublish(volumeIdOf(request), pathOf('target_path', request.target_path));
      return {};
    },
  };
}

function volumeIdOf({ volume_id }: { volume_id: string }): string {
  return required('volume_id', volume_id, 'the id that CreateVolume returned');
}

function pathOf(field: string, value: string): string {
  const path = required(field, value, 'an absolute path');
  if (!isAbsolute(path) || path.split('/').includes('..')) {
    throw new Fault('INVALID', `${field}: found "${path}", expected an absolute path without ".."`);
  }
  return path;
}
