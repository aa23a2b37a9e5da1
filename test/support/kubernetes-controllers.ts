import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CsiClient, connectCsi } from '../../src/csi/client.ts';
import {
  type KubeObject,
  PATHS,
  type PersistentVolume,
  type VolumeAttachment,
} from '../../src/kubernetes/objects.ts';
import { Fabric, POOL_NAME } from './controller-process.ts';
import { FakeApiServer } from './fake-api-server.ts';
import { MAIN } from './test-cluster.ts';

const DRIVER = 'csi.famfs.io';

/** A controller process that is told of Kubernetes by a kubeconfig file. */
export class KubernetesController {
  readonly name: string;
  readonly client: CsiClient;
  /** Resolves with the signal or exit code that ended it. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #log: string;

  constructor(name: string, folder: string, device: string) {
    this.name = name;
    const socket = join(folder, `${name}.sock`);
    this.#log = join(folder, `${name}.log`);
    const command = ['controller', '--endpoint', `unix://${socket}`, '--kubernetes'];
    const options = ['--namespace', 'famfs', '--http', '127.0.0.1:0'];
    const pool = ['--pool', `${POOL_NAME}=${device}`];
    this.#child = spawn(process.execPath, [MAIN, ...command, ...options, ...pool], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, KUBECONFIG: join(folder, 'kubeconfig') },
    });
    this.#child.stderr?.pipe(createWriteStream(this.#log));
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    this.client = connectCsi(socket, { timeoutMs: 30_000 });
  }

  get log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** Of this process alone, by its id. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async isLeading(): Promise<boolean> {
    return (await this.client.identity.probe({}, { timeoutMs: 2_000 })).ready?.value === true;
  }

  get(path: string): Promise<Response> {
    const [, port] = /"port":(\d+),"msg":"http listens"/.exec(this.log) ?? [];
    return fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** A formatted emulated fabric, a fake API server, and controllers that use both. */
export class KubernetesSetting implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly fabric: Fabric;
  readonly controllers: KubernetesController[] = [];

  private constructor(server: FakeApiServer, fabric: Fabric) {
    this.server = server;
    this.fabric = fabric;
    writeFileSync(join(fabric.folder, 'kubeconfig'), kubeConfig(server.url));
  }

  static async make(sizeBytes: number): Promise<KubernetesSetting> {
    return new KubernetesSetting(await FakeApiServer.start(), new Fabric(sizeBytes));
  }

  controller(device = this.fabric.device): KubernetesController {
    const name = `k${this.controllers.length}`;
    const controller = new KubernetesController(name, this.fabric.folder, device);
    this.controllers.push(controller);
    return controller;
  }

  addNode(name: string): void {
    const spec = { drivers: [{ name: DRIVER, nodeID: name }] };
    this.server.store.put(PATHS.csiNodes, { metadata: { name }, spec } as KubeObject);
    this.server.store.put(PATHS.nodes, { metadata: { name } });
  }

  /** What the provisioner makes of a volume. */
  addPersistentVolume(volumeHandle: string, name = volumeHandle): void {
    const spec = { accessModes: ['ReadWriteOnce'], csi: { driver: DRIVER, volumeHandle } };
    this.server.store.put<PersistentVolume>(PATHS.persistentVolumes, { metadata: { name }, spec });
  }

  /** What the attach-detach controller makes to have it attached. */
  addVolumeAttachment(name: string, volume: string, nodeName: string): void {
    const source = { persistentVolumeName: volume };
    this.server.store.put<VolumeAttachment>(PATHS.volumeAttachments, {
      metadata: { name },
      spec: { attacher: DRIVER, nodeName, source },
      status: { attached: false },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.controllers.map((controller) => controller.stop()));
    await this.server[Symbol.asyncDispose]();
    await this.fabric[Symbol.asyncDispose]();
  }
}

/** A kubeconfig file for a server on loopback, as JSON, which YAML is a superset of. */
export function kubeConfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 'secret' } }],
  });
}
