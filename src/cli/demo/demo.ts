import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fault, messageOf } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import { type CsiClient, connectCsi } from '../../csi/client.ts';
import { MounterClient } from '../../mounter/client.ts';
import { Mapping } from '../../native/mapping.ts';
import { createEmulatedDevice } from '../../pool/emulated-device.ts';
import { systemUuid } from '../../pool/identity.ts';
import { mkfs } from '../../pool/mkfs.ts';
import { drawMemory } from '../memory-picture.ts';
import { regionsOf } from '../tools/map.ts';
import { openForReading } from '../tools/pools.ts';
import { leftovers } from './leftovers.ts';
import { type LocalCluster, type LocalNode, POOL } from './local-cluster.ts';
import type { ProgramReport } from './programs.ts';
import type { Steps } from './steps.ts';

const run = promisify(execFile);

const VOLUME = 'demo-dataset';
const READY_MS = 15_000;

export interface DemoOptions {
  readonly cluster: LocalCluster;
  readonly steps: Steps;
  /** Path of the executable script, for the pods' programs. */
  readonly main: string;
  readonly dataset: string;
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
  readonly #datasetBytes: number;
  #controller: CsiClient | undefined;
  #hosts: Host[] = [];
  #context: Record<string, string> = {};
  #volumeId = '';

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#datasetBytes = statSync(options.dataset).size;
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
    const { steps, dataset } = this.#options;
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
    await steps.step(`sha256sum, cmp, dd on ${last.node.name}`, () => ordinaryTools(last, dataset));
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
    await steps.step('clean up', async () => {
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

  /** Commands to look around with, for `--keep`. */
  hints(): string[] {
    const { cluster, main } = this.#options;
    const tool = `${process.execPath} ${main}`;
    return [
      ...this.#hosts.map(({ target, node }) => `pod on ${node.name}:  ls -l ${target}`),
      `the log:        ${tool} ls -r ${cluster.fabric}`,
      `the memory:     ${tool} map ${cluster.fabric}`,
      `the check:      ${tool} check ${cluster.fabric}`,
      `the logs:       tail -f ${cluster.logs}/*.log`,
    ];
  }

  get #csi(): CsiClient {
    if (this.#controller === undefined) throw new Fault('INTERNAL', 'no controller yet');
    return this.#controller;
  }

  async #makeFabric(): Promise<void> {
    const { steps, cluster, fabricBytes } = this.#options;
    await steps.step('make an emulated fabric', () => {
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
    const { steps, cluster } = this.#options;
    await steps.step('start the controller', async () => {
      const pid = cluster.startController();
      this.#controller = connectCsi(cluster.controllerSocket);
      const info = await this.#ready(this.#controller);
      return [undefined, `${info}, process ${pid}`];
    });
    for (const [at, node] of cluster.nodes.entries()) {
      const path = await steps.step(`start mounter and plugin of ${node.name}`, async () => {
        const pids = [cluster.startMounter(node), cluster.startNode(node)];
        const csi = connectCsi(node.csiSocket);
        const staging = join(node.kubeletDir, 'staging', VOLUME);
        const target = join(node.kubeletDir, 'pods', 'pod', 'volume');
        this.#hosts.push({ node, csi, staging, target, readOnly: at > 0 });
        await this.#ready(csi);
        const client = new MounterClient(node.mounterSocket);
        const mounted = await this.#retry(() => client.poolMount(POOL, 0));
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
        capacity_range: { required_bytes: String(this.#datasetBytes) },
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
    await this.#options.steps.step(`a write on ${node.name} is refused`, async () => {
      const file = join(target, 'data');
      const failed = await run('dd', [
        'if=/dev/zero',
        `of=${file}`,
        'count=1',
        'conv=notrunc',
      ]).then(
        () => undefined,
        (error: unknown) => messageOf(error),
      );
      if (failed === undefined) throw new Fault('INTERNAL', `${file}: dd could write to it`);
      return [undefined, /Read-only file system/.exec(failed)?.[0] ?? failed.trim()];
    });
  }

  async #program(name: string, { target }: Host): Promise<ProgramReport> {
    const { main, dataset } = this.#options;
    const { stdout } = await run(process.execPath, [main, name, dataset, join(target, 'data')]);
    return JSON.parse(stdout) as ProgramReport;
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

  /** Until it answers; fails at once when a process of the cluster has ended. */
  #retry<T>(ask: () => Promise<T>): Promise<T> {
    const { steps, cluster } = this.#options;
    return steps.retry(ask, READY_MS, () => cluster.processes.assertRunning());
  }
}

function capability() {
  return {
    mount: { fs_type: '' },
    access_mode: { mode: 'MULTI_NODE_SINGLE_WRITER' },
  } as const;
}

/** Programs that know nothing of famfs, on the reader's side. */
async function ordinaryTools({ target }: Host, dataset: string): Promise<[undefined, string]> {
  const file = join(target, 'data');
  const [ours, theirs] = await Promise.all([run('sha256sum', [file]), run('sha256sum', [dataset])]);
  const sum = ours.stdout.split(' ')[0] ?? '';
  if (sum !== theirs.stdout.split(' ')[0]) throw new Fault('CORRUPT', `${file}: sha256 ${sum}`);
  await run('cmp', [file, dataset]);
  const piped = await run('sh', ['-c', 'dd if="$1" bs=1M status=none | sha256sum', 'sh', file]);
  if (!piped.stdout.startsWith(sum)) throw new Fault('CORRUPT', `${file}: dd read ${piped.stdout}`);
  return [undefined, `they agree: sha256 ${sum.slice(0, 16)}…`];
}
