import { statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Fault, messageOf } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import { type CsiClient, connectCsi } from '../../csi/client.ts';
import { MounterClient } from '../../mounter/client.ts';
import { Mapping } from '../../native/mapping.ts';
import { createEmulatedDevice } from '../../pool/emulated-device.ts';
import { systemUuid } from '../../pool/identity.ts';
import { mkfs } from '../../pool/mkfs.ts';
import { drawMemory } from '../memory-picture.ts';
import { enterNamespace } from '../namespace.ts';
import { regionsOf } from '../tools/map.ts';
import { openForReading } from '../tools/pools.ts';
import { leftovers } from './leftovers.ts';
import { type LocalCluster, type LocalNode, POOL } from './local-cluster.ts';
import type { ProgramReport } from './programs.ts';
import { commandLine, runCommand } from './shell.ts';
import type { Steps } from './steps.ts';

const VOLUME = 'demo-dataset';
const READY_MS = 15_000;
const RETRY_MS = 50;

export interface DemoOptions {
  readonly cluster: LocalCluster;
  readonly steps: Steps;
  /** Ends what runs, at once. */
  readonly signal: AbortSignal;
  /** Path of the executable script, for the pods' programs. */
  readonly main: string;
  readonly dataset: string;
  readonly datasetBytes: number;
  readonly fabricBytes: number;
}

/** A node of the cluster, spoken to: its plugin, and where the volume is for its pod. */
interface Host {
  readonly node: LocalNode;
  readonly csi: CsiClient;
  readonly staging: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** The product's main job, step by step, on a cluster of separate processes on this machine. */
export class Demo {
  readonly #options: DemoOptions;
  #controller: CsiClient | undefined;
  #hosts: Host[] = [];
  #context: Record<string, string> = {};
  #volumeId = '';

  constructor(options: DemoOptions) {
    this.#options = options;
  }

  /** Makes the fabric, starts every process, and publishes the volume in a pod on every node. */
  async setUp(): Promise<void> {
    await this.#makeFabric();
    await this.#startProcesses();
    await this.#createVolume();
    for (const host of this.#hosts) await this.#publish(host);
  }

  /** Shares the dataset. Returns the number of bytes that every node has seen. */
  async share(): Promise<number> {
    const { steps } = this.#options;
    const [writer, ...readers] = this.#hosts;
    if (writer === undefined) throw new Fault('INVALID', '--nodes: found 0, expected 1 or more');
    const written = await steps.step(`pod on ${writer.node.name} writes`, async () => {
      const report = await this.#program('pod-write', writer);
      return [report, `mapped the file, copied ${formatSize(report.bytes)} in, msync`];
    });
    for (const reader of readers) {
      await steps.step(`pod on ${reader.node.name} verifies`, async () => {
        const seen = await this.#program('pod-verify', reader);
        if (seen.sha256 !== written.sha256) {
          throw new Fault('CORRUPT', `${reader.target}: sha256 ${seen.sha256}`);
        }
        return [undefined, `mapped it read-only, all ${seen.bytes} bytes are the dataset's`];
      });
    }
    const last = readers.at(-1) ?? writer;
    await steps.step(`sha256sum, cmp, dd on ${last.node.name}`, () => this.#ordinaryTools(last));
    for (const reader of readers) await this.#refusesWrites(reader);
    this.#draw();
    return written.bytes;
  }

  /** Unpublishes and deletes the volume; the processes still run. */
  async tearDown(): Promise<void> {
    const { steps } = this.#options;
    await steps.step('unpublish, unstage, detach', async () => {
      for (const { csi, staging, target, node } of this.#hosts) {
        const id = { volume_id: this.#volumeId };
        await csi.node.nodeUnpublishVolume({ ...id, target_path: target });
        await csi.node.nodeUnstageVolume({ ...id, staging_target_path: staging });
        await this.#csi.controller.controllerUnpublishVolume({ ...id, node_id: node.name });
      }
      return [undefined, `from ${this.#hosts.length} nodes`];
    });
    await steps.step('delete the volume', async () => {
      await this.#csi.controller.deleteVolume({ volume_id: this.#volumeId });
      return [undefined, `${this.#volumeId}: DELETE entries are in the log`];
    });
  }

  /** Removes everything and looks whether anything is left. */
  async cleanUp(): Promise<void> {
    const { steps, cluster } = this.#options;
    await steps.lastStep('clean up', async () => {
      this.closeClients();
      await cluster.stop();
      const left = leftovers(cluster);
      if (left.length > 0) throw new Fault('IO', `left behind: ${left.join(', ')}`);
      return [undefined, 'no mount, process, socket or file is left'];
    });
  }

  closeClients(): void {
    this.#controller?.close();
    for (const { csi } of this.#hosts) csi.close();
  }

  /** What to look at while it runs, and the commands for it, for `--keep`. */
  hints(): [string, string][] {
    const { cluster, main } = this.#options;
    const tool = (...words: string[]) => commandLine([process.execPath, main, ...words]);
    return [
      ...this.#hosts.map(({ target, node }): [string, string] => [
        `pod on ${node.name}`,
        commandLine([...enterNamespace(), 'ls', '-l', target]),
      ]),
      ['the log', tool('ls', '-r', cluster.fabric)],
      ['the memory', tool('map', cluster.fabric)],
      ['the check', tool('check', cluster.fabric)],
      ['the logs', `tail -f ${commandLine([cluster.logs])}/*.log`],
    ];
  }

  get #csi(): CsiClient {
    if (this.#controller === undefined) throw new Fault('INTERNAL', 'no controller yet');
    return this.#controller;
  }

  async #makeFabric(): Promise<void> {
    const { steps, cluster, fabricBytes, datasetBytes } = this.#options;
    await steps.step('make an emulated fabric', () => {
      checkRoom(dirname(cluster.fabric), datasetBytes);
      createEmulatedDevice(cluster.fabric, fabricBytes);
      return [undefined, `${formatSize(fabricBytes)}, sparse, at ${cluster.fabric}`];
    });
    await steps.step('format it as a famfs pool', () => {
      using memory = Mapping.open(cluster.fabric, { writable: true });
      const { fsUuid } = mkfs(memory, { deviceName: cluster.fabric, systemUuid: systemUuid() });
      return [undefined, `pool "${POOL}", uuid ${fsUuid}`];
    });
  }

  async #startProcesses(): Promise<void> {
    const { steps, cluster, signal } = this.#options;
    await steps.step('start the controller', async () => {
      const pid = cluster.startController();
      this.#controller = connectCsi(cluster.controllerSocket, { signal });
      const info = await this.#ready(this.#controller);
      return [undefined, `${info}, process ${pid}`];
    });
    for (const [at, node] of cluster.nodes.entries()) {
      const path = await steps.step(`start mounter and plugin of ${node.name}`, async () => {
        const pids = [cluster.startMounter(node), cluster.startNode(node)];
        const csi = connectCsi(node.csiSocket, { signal });
        const staging = join(node.kubeletDir, 'staging', VOLUME);
        const target = join(node.kubeletDir, 'pods', 'pod', 'volume');
        this.#hosts.push({ node, csi, staging, target, readOnly: at > 0 });
        await this.#ready(csi);
        const client = new MounterClient(node.mounterSocket);
        const mounted = await this.#retry(() => client.poolMount(POOL, 0, { signal }));
        return [mounted, `processes ${pids.join(', ')}; mounted at ${mounted.mountPoint}`];
      });
      if (at === 0) steps.lines([`data path: ${path.dataPath}, since ${path.dataPathReason}`]);
    }
  }

  async #createVolume(): Promise<void> {
    const { steps } = this.#options;
    await steps.step('CreateVolume', async () => {
      const { volume } = await this.#csi.controller.createVolume({
        name: VOLUME,
        capacity_range: { required_bytes: String(this.#options.datasetBytes) },
        volume_capabilities: [capability()],
        parameters: { pool: POOL, dataPath: 'any' },
      });
      if (!volume) throw new Fault('INTERNAL', 'CreateVolume: no volume in the reply');
      this.#volumeId = volume.volume_id;
      this.#context = volume.volume_context;
      return [undefined, `${volume.volume_id}, ${volume.capacity_bytes} bytes`];
    });
  }

  async #publish({ node, csi, staging, target, readOnly }: Host): Promise<void> {
    const access = readOnly ? 'read-only' : 'read-write';
    await this.#options.steps.step(`attach, stage, publish on ${node.name}`, async () => {
      const volume = {
        volume_id: this.#volumeId,
        volume_capability: capability(),
        volume_context: this.#context,
      };
      const attached = await this.#csi.controller.controllerPublishVolume({
        ...volume,
        node_id: node.name,
        readonly: readOnly,
      });
      const staged = {
        ...volume,
        publish_context: attached.publish_context,
        staging_target_path: staging,
      };
      await csi.node.nodeStageVolume(staged);
      await csi.node.nodePublishVolume({ ...staged, target_path: target, readonly: readOnly });
      return [undefined, `${access} at ${target}`];
    });
  }

  async #refusesWrites({ node, target }: Host): Promise<void> {
    const file = join(target, 'data');
    await this.#options.steps.step(`a write on ${node.name} is refused`, async () => {
      const said = await this.#run('dd', 'if=/dev/zero', `of=${file}`, 'count=1', 'conv=notrunc')
        .then(() => 'dd could write to it')
        .catch(messageOf);
      const refused = /Read-only file system/.exec(said);
      if (refused === null) throw new Fault('INTERNAL', `${file}: ${said}`);
      return [undefined, refused[0]];
    });
  }

  async #program(name: string, { target }: Host): Promise<ProgramReport> {
    const { main, dataset } = this.#options;
    const report = await this.#run(process.execPath, main, name, dataset, join(target, 'data'));
    return JSON.parse(report) as ProgramReport;
  }

  /** Programs that know nothing of famfs, on the reader's side. */
  async #ordinaryTools({ target }: Host): Promise<[undefined, string]> {
    const { dataset } = this.#options;
    const file = join(target, 'data');
    // A backslash comes first where the file's name had to be escaped.
    const hash = (text: string) => text.replace(/^\\/, '').slice(0, 64);
    const ours = hash(await this.#run('sha256sum', file));
    if (ours !== hash(await this.#run('sha256sum', dataset))) {
      throw new Fault('CORRUPT', `${file}: sha256 ${ours} is not the dataset's`);
    }
    await this.#run('cmp', file, dataset);
    const pipe = 'dd if="$1" bs=1M status=none | sha256sum';
    const piped = hash(await this.#run('sh', '-c', pipe, 'sh', file));
    if (piped !== ours) throw new Fault('CORRUPT', `${file}: dd read sha256 ${piped}`);
    return [undefined, `they agree: sha256 ${ours.slice(0, 16)}…`];
  }

  #run(...command: string[]): Promise<string> {
    return runCommand(command, this.#options.signal);
  }

  #draw(): void {
    using pool = openForReading(this.#options.cluster.fabric);
    this.#options.steps.lines(drawMemory(pool.superblock.deviceSizeBytes, regionsOf(pool)));
  }

  async #ready(csi: CsiClient): Promise<string> {
    await this.#retry(async () => {
      const { ready } = await csi.identity.probe({});
      if (ready?.value !== true) throw new Fault('UNAVAILABLE', 'the plugin is not ready');
    });
    const { name, vendor_version } = await csi.identity.getPluginInfo({});
    return `${name} ${vendor_version}`;
  }

  /** Until it answers: a process that has just been started takes its time. */
  async #retry<T>(ask: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + READY_MS;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        this.#options.cluster.processes.assertRunning();
        if (Date.now() > deadline) throw error;
        await delay(RETRY_MS, undefined, { signal: this.#options.signal });
      }
    }
  }
}

function capability() {
  return {
    mount: { fs_type: '' },
    access_mode: { mode: 'MULTI_NODE_SINGLE_WRITER' },
  } as const;
}

/** A sparse file takes its memory as it is written: too little would show up in mid-copy only. */
function checkRoom(directory: string, neededBytes: number): void {
  const { blocks, bavail, bsize } = statfsSync(directory);
  // None at all: a memory file system without a limit.
  if (blocks === 0 || bavail * bsize >= neededBytes) return;
  throw new Fault(
    'NO_SPACE',
    `${directory}: has ${formatSize(bavail * bsize)} free, the dataset takes ` +
      `${formatSize(neededBytes)}; give a smaller --data, or more memory: ` +
      `mount -o remount,size=2G ${directory}`,
  );
}
