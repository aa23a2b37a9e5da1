import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Api, KubeObject } from './api.ts';
import { Certificates } from './certificates.ts';
import { API_ADDRESS, ControlPlane } from './control-plane.ts';
import { Node, type NodePlaces } from './node.ts';
import { output } from './processes.ts';
import { until } from './wait.ts';

/** A real cluster in the namespaces that test/k8s/run.mjs has made: see docs/kubernetes. */
export class Cluster {
  readonly plane: ControlPlane;
  readonly nodes: Node[] = [];
  readonly #places: NodePlaces;
  readonly #images: readonly string[];
  readonly #certificates: Certificates;

  private constructor(
    plane: ControlPlane,
    certificates: Certificates,
    places: NodePlaces,
    images: readonly string[],
  ) {
    this.plane = plane;
    this.#certificates = certificates;
    this.#places = places;
    this.#images = images;
  }

  /** Up, with every node Ready; each node has all the images, of archives. */
  static async start(
    places: NodePlaces,
    count: number,
    images: readonly string[],
  ): Promise<Cluster> {
    await output(['ip', 'link', 'set', 'lo', 'up']);
    await output(['ip', 'address', 'add', `${API_ADDRESS}/32`, 'dev', 'lo']);
    mkdirSync(places.fabric, { recursive: true });
    await output(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', places.fabric]);
    const folder = join(places.folder, 'control-plane');
    mkdirSync(folder, { recursive: true });
    const certificates = await Certificates.make(join(places.folder, 'certificates'));
    const plane = await ControlPlane.start(folder, certificates);
    const cluster = new Cluster(plane, certificates, places, images);
    try {
      await Promise.all(Array.from({ length: count }, () => cluster.addNode()));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** One more node, Ready. */
  async addNode(): Promise<Node> {
    const node = new Node(this.nodes.length + 1, this.#places);
    this.nodes.push(node);
    await node.start(this.#certificates, this.#images);
    await until(`${node.name} is Ready`, async () => {
      this.mustRun();
      const found = await this.api.find('nodes', node.name);
      return (found !== undefined && isReady(found)) || undefined;
    });
    return node;
  }

  /** As if its power failed; it is none of the cluster's nodes any more, but its Node is there. */
  async killNode(node: Node): Promise<void> {
    await node.kill();
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  /** The folder in memory that every node sees as the emulated fabric's. */
  get fabric(): string {
    return this.#places.fabric;
  }

  get api(): Api {
    return this.plane.api;
  }

  /** An error where a daemon of the cluster is no longer there. */
  mustRun(): void {
    for (const daemon of this.plane.daemons) daemon.mustRun();
    for (const node of this.nodes) for (const daemon of node.daemons) daemon.mustRun();
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return output(this.kubectlCommand(...args));
  }

  kubectlCommand(...args: readonly string[]): string[] {
    return ['kubectl', '--kubeconfig', this.plane.adminConfig, ...args];
  }

  helm(...args: readonly string[]): Promise<string> {
    return output(['helm', '--kubeconfig', this.plane.adminConfig, ...args]);
  }

  /** Applies objects, or the text of a manifest. */
  async apply(manifest: string | readonly object[]): Promise<void> {
    const input =
      typeof manifest === 'string'
        ? manifest
        : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifest });
    await output(this.kubectlCommand('apply', '-f', '-'), { input });
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    await this.plane.stop();
  }
}

/** True for a node, a pod and whatever else has that condition. */
export function isReady(object: KubeObject): boolean {
  const conditions: KubeObject[] = object.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
