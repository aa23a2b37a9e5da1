import { test } from '@jest/globals';
import type { KubeObject } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { isReady } from '../cluster/cluster.ts';
import { type Patience, until } from '../cluster/wait.ts';

/** Where the chart is installed, as the README's quick start says. */
export const RELEASE = 'famfs';
export const DRIVER = 'csi.famfs.io';
export const POOL = 'famfs';
/** Where the examples and the tests' own pods and claims are. */
export const NAMESPACE = 'default';
/** The image of the examples; whatever they run is Python. */
export const PYTHON = 'python:3.13-slim';

/** What the steps hand on to each other. */
export interface Story {
  cluster: Cluster;
  /** Namespace of the release. */
  namespace: string;
}

/** As `step`, where no later step stands on it: they go on when it fails. */
export function check(name: string, run: () => Promise<void>): void {
  test(name, async () => {
    try {
      await run();
      process.stderr.write(`ok           ${name}\n`);
    } catch (error) {
      process.stderr.write(`FAILED       ${name}\n`);
      throw error;
    }
  });
}

/** As `until`; where it never comes, the error says what the cluster has to say of itself. */
export async function eventually<T>(
  { cluster }: Story,
  what: string,
  look: () => Promise<T | undefined>,
  patience?: Patience,
): Promise<T> {
  const running = () => {
    cluster.mustRun();
    return look();
  };
  try {
    return await until(what, running, patience);
  } catch (error) {
    throw new Error(`${String(error)}\n${await pictureOf(cluster)}`);
  }
}

async function pictureOf(cluster: Cluster): Promise<string> {
  const pods = await cluster.kubectl('get', 'pods', '--all-namespaces', '--output=wide');
  const events = (await cluster.api.list('events'))
    .filter(({ type }) => type !== 'Normal')
    .map(({ involvedObject, reason, message }) => `${involvedObject.name}: ${reason}: ${message}`);
  return [pods, ...events.slice(-30)].join('\n');
}

/** The pods of a component of the release. */
export function podsOf({ cluster, namespace }: Story, component: string): Promise<KubeObject[]> {
  const labels = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`;
  return cluster.api.list('pods', namespace, labels);
}

export function podsReady(
  story: Story,
  names: readonly string[],
  patience?: Patience,
): Promise<KubeObject[]> {
  const look = async () => {
    const pods = await Promise.all(
      names.map((name) => story.cluster.api.get('pods', name, NAMESPACE)),
    );
    const waiting = pods.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name);
    if (waiting.length > 0) throw new Error(`not Ready: ${waiting.join(', ')}`);
    return pods;
  };
  return eventually(story, `Ready: ${names.join(', ')}`, look, patience);
}

/** The pods with these labels, once there are so many and all are Ready. */
export function selectedReady(
  story: Story,
  labels: string,
  count: number,
  patience?: Patience,
): Promise<KubeObject[]> {
  const look = async () => {
    const pods = await story.cluster.api.list('pods', NAMESPACE, labels);
    const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return alive.length === count && alive.every(isReady) ? alive : undefined;
  };
  return eventually(story, `${count} pods of ${labels} are Ready`, look, patience);
}

/** Waits until none of the namespace's objects with these names is there. */
export function gone(
  story: Story,
  resource: string,
  names: readonly string[],
  namespace?: string,
): Promise<true> {
  return eventually(story, `gone: ${names.join(', ')}`, async () => {
    const found = await Promise.all(
      names.map((name) => story.cluster.api.find(resource, name, namespace)),
    );
    return found.every((object) => object === undefined) || undefined;
  });
}

/** What the pool's status says; written by the leading controller. */
export async function poolStatus({ cluster }: Story): Promise<KubeObject> {
  return (await cluster.api.get('famfspools', POOL)).status ?? {};
}

/** Bytes of files that are there; those of deleted ones may be in quarantine still. */
export function liveBytes({ usedBytes, quarantinedBytes }: KubeObject): number {
  return usedBytes - quarantinedBytes;
}

/** Waits until the pool has what it had `before`: no file more, and no memory of one. */
export function poolAsBefore(story: Story, before: KubeObject): Promise<boolean> {
  return eventually(story, 'the pool has what it had before', async () => {
    const now = await poolStatus(story);
    const seen = [now.files, liveBytes(now)];
    const expected = [before.files, liveBytes(before)];
    if (String(seen) !== String(expected)) throw new Error(`${seen}, expected ${expected}`);
    return true;
  });
}

/** The pod that holds a pool's lease; its identity there is `<pod>_<what tells its runs>`. */
export function podOf(lease: KubeObject): string {
  return String(lease.spec.holderIdentity).split('_')[0] ?? '';
}
