import { eventually } from '../support/test-cluster.ts';
import type { Guest, ProgramResult } from './guest.ts';

export const DEVICE = '/dev/dax0.0';
export const POOL = 'demo';
/** Where the initramfs has the bytes that the story shares. */
export const DATASET = '/app/vm/dataset';

const MAIN = '/app/dist/main.js';
const RUN = '/run/famfs';
const MOUNT_ROOT = '/var/lib/famfs/pools';
const KUBELET = '/var/lib/kubelet';
const PATIENCE_MS = 200_000;

export interface Volume {
  readonly volume_id: string;
  readonly volume_context: Record<string, string>;
}

/** What the mounter says of its pool; see `poolStatus` in src/mounter/protocol.ts. */
export interface PoolState {
  readonly problem?: string;
  readonly serverPid?: number;
  readonly requests?: Record<string, number>;
  readonly mount?: {
    readonly mountPoint: string;
    readonly dataPath: string;
    readonly generation: string;
    readonly dataPathReason: string;
  };
}

export interface SwitchResult {
  readonly drivers: readonly string[];
  readonly refused?: { readonly code: string; readonly message: string };
}

const CAPABILITY = {
  mount: { fs_type: '' },
  access_mode: { mode: 'MULTI_NODE_SINGLE_WRITER' },
};

/** One host of the story: a guest with the product's processes in it, as on a cluster's node. */
export class Host {
  readonly guest: Guest;
  readonly mounterSocket = `${RUN}/mounter.sock`;
  /** In the order of their starts. */
  readonly #running = new Set<string>();

  constructor(guest: Guest) {
    this.guest = guest;
  }

  get name(): string {
    return this.guest.name;
  }

  /** A command of the product. */
  famfs(args: readonly string[]): Promise<ProgramResult> {
    return this.guest.run(['node', MAIN, ...args]);
  }

  async famfsJson<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.guest.output(['node', MAIN, ...args])) as T;
  }

  /** One of the programs in test/vm/guest; it prints JSON. */
  async program<T>(name: string, args: readonly string[]): Promise<T> {
    return JSON.parse(await this.guest.output(['node', `/app/vm/${name}.mjs`, ...args])) as T;
  }

  daxdev(action: 'switch' | 'try' | 'held', mode: 'devdax' | 'fsdev'): Promise<SwitchResult> {
    return this.program('daxdevs', [action, DEVICE, mode]);
  }

  async startMounter(dataPath: 'auto' | 'dax'): Promise<void> {
    await this.guest.output(['mkdir', '-p', RUN, MOUNT_ROOT, KUBELET]);
    await this.#start('mounter', [
      ...['--socket', this.mounterSocket, '--mount-root', MOUNT_ROOT],
      ...['--pool', `${POOL}=${DEVICE}`, '--data-path', dataPath],
    ]);
  }

  async startNode(): Promise<void> {
    await this.#start('node', [
      ...['--endpoint', `unix://${RUN}/node.sock`, '--node-id', this.name],
      ...['--mounter', this.mounterSocket],
    ]);
    await this.#untilAnswered('node');
  }

  /** `pool`: the raw device, or the mount of the pool where the kernel holds the device. */
  async startController(pool: string, nodes: readonly Host[]): Promise<void> {
    await this.#start('controller', [
      ...['--endpoint', `unix://${RUN}/controller.sock`, '--state-dir', RUN],
      ...['--pool', `${POOL}=${pool}`],
      ...nodes.flatMap(({ name }) => ['--node', name]),
    ]);
    await this.#untilAnswered('controller');
  }

  async poolState(): Promise<PoolState> {
    const { mounterSocket: socket } = this;
    const { pools } = await this.guest.ask<{ pools: PoolState[] }>('mounterStatus', { socket });
    return pools[0] ?? { problem: 'the mounter has no pool' };
  }

  /** The pool's mount, once it is there. */
  mounted(): Promise<NonNullable<PoolState['mount']>> {
    const look = async () => {
      const { mount, problem } = await this.poolState();
      if (mount === undefined) throw new Error(problem);
      return mount;
    };
    return eventually(`${this.name}: pool ${POOL} is mounted`, look, PATIENCE_MS);
  }

  async createVolume(name: string, bytes: number, parameters: object): Promise<Volume> {
    const { volume } = await this.#csi<{ volume: Volume }>('controller', 'createVolume', {
      name,
      capacity_range: { required_bytes: String(bytes) },
      volume_capabilities: [CAPABILITY],
      parameters: { pool: POOL, ...parameters },
    });
    return volume;
  }

  async deleteVolume({ volume_id }: Volume): Promise<void> {
    await this.#csi('controller', 'deleteVolume', { volume_id });
  }

  /** Attaches, stages and publishes for a pod on `host`; returns where it has the volume's file. */
  async publish(volume: Volume, host: Host, readonly: boolean): Promise<string> {
    const request = { ...volume, volume_capability: CAPABILITY };
    const { publish_context } = await this.#csi<{ publish_context: Record<string, string> }>(
      'controller',
      'controllerPublishVolume',
      { ...request, node_id: host.name, readonly },
    );
    const staging_target_path = stagingPath(volume);
    const staged = { ...request, publish_context, staging_target_path };
    await host.#csi('node', 'nodeStageVolume', staged);
    const target_path = targetPath(volume);
    await host.#csi('node', 'nodePublishVolume', { ...staged, target_path, readonly });
    return `${target_path}/data`;
  }

  async unpublish(volume: Volume, host: Host): Promise<void> {
    const { volume_id } = volume;
    const staging_target_path = stagingPath(volume);
    await host.#csi('node', 'nodeUnpublishVolume', { volume_id, target_path: targetPath(volume) });
    await host.#csi('node', 'nodeUnstageVolume', { volume_id, staging_target_path });
    await this.#csi('controller', 'controllerUnpublishVolume', { volume_id, node_id: host.name });
  }

  /** Unmounts the pool and ends every process, the latest first; says how each ended. */
  async shutDown(): Promise<string[]> {
    const { mountPoint } = await this.mounted();
    const ends: string[] = [];
    for (const name of [...this.#running].reverse()) {
      if (name === 'mounter') {
        // Lazily: on a dax path the mount is busy with its own server's log until that has ended.
        await this.guest.output(['umount', '-l', mountPoint]);
        const gone = async () => ((await this.poolState()).mount === undefined ? true : undefined);
        await eventually(`${this.name}: the server has ended`, gone, PATIENCE_MS);
      }
      ends.push(`${name}: ${await this.stop(name)}`);
    }
    return ends;
  }

  /** Has a process drain and end; says how it ended. */
  async stop(name: string): Promise<string> {
    const { how } = await this.guest.ask<{ how: string }>('stop', { name, signal: 'SIGTERM' });
    this.#running.delete(name);
    return how;
  }

  async #start(name: string, args: readonly string[]): Promise<void> {
    await this.guest.ask('start', { name, argv: ['node', MAIN, name, ...args] });
    this.#running.add(name);
  }

  /** On a busy machine a process may take longer to start than a call may take. */
  async #untilAnswered(service: 'controller' | 'node'): Promise<void> {
    const call = { socket: `${RUN}/${service}.sock`, service: 'identity', method: 'probe' };
    const probe = () => this.guest.ask('csi', { ...call, request: {} });
    await eventually(`${this.name}: the ${service} answers`, probe, PATIENCE_MS);
  }

  #csi<T>(service: 'controller' | 'node', method: string, request: object): Promise<T> {
    return this.guest.ask('csi', { socket: `${RUN}/${service}.sock`, service, method, request });
  }
}

function stagingPath({ volume_id }: Volume): string {
  return `${KUBELET}/staging/${volume_id}`;
}

function targetPath({ volume_id }: Volume): string {
  return `${KUBELET}/pods/pod/${volume_id}`;
}
