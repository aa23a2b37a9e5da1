import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import type { KubeObject } from '../cluster/api.ts';
import { isReady } from '../cluster/cluster.ts';
import { DRIVER, eventually, POOL, podsOf, poolStatus, RELEASE, type Story } from './story.ts';

export const CHART = 'charts/famfs-csi';

export function install(story: Story): void {
  step('helm install brings every pod of the chart up', async () => {
    const { cluster, namespace } = story;
    const begin = performance.now();
    await cluster.helm(
      ...['install', RELEASE, CHART, '--set', 'emulatedFabric.enabled=true'],
      ...['--namespace', namespace, '--create-namespace'],
    );
    const counts = await eventually(story, 'every pod of the chart is Ready', async () => {
      const parts = await Promise.all(
        ['controller', 'node', 'mounter'].map((part) => podsOf(story, part)),
      );
      const waiting = parts.flat().filter((pod) => !isReady(pod));
      if (waiting.length > 0) throw new Error(waiting.map(({ metadata }) => metadata.name).join());
      const found = parts.map((pods) => pods.length);
      return found.every((count) => count === cluster.nodes.length) ? found : undefined;
    });
    const took = ((performance.now() - begin) / 1000).toFixed(0);
    return `${counts.join(' + ')} pods of controller, node and mounter in ${took} s`;
  });

  step('the driver is registered on each node, with its fabric as topology', async () => {
    const nodes = await eventually(story, 'CSINode objects name the driver', async () => {
      const found = await Promise.all(
        story.cluster.nodes.map(({ name }) => story.cluster.api.get('csinodes', name)),
      );
      const drivers = found.map(({ spec }) =>
        (spec.drivers ?? []).find(({ name }: KubeObject) => name === DRIVER),
      );
      return drivers.every((driver) => driver !== undefined) ? drivers : undefined;
    });
    const keys = new Set(nodes.flatMap(({ topologyKeys }) => topologyKeys ?? []));
    expect([...keys]).toEqual([expect.stringMatching(/^topology\.csi\.famfs\.io\/fabric-/)]);
    return [...keys].join();
  });

  step('the pool and its capacity are objects that the scheduler and people can see', async () => {
    const { cluster, namespace } = story;
    const capacity = await eventually(story, 'CSIStorageCapacity', async () => {
      const all = await cluster.api.list('csistoragecapacities', namespace);
      const [ours, ...others] = all.filter(
        ({ storageClassName, nodeTopology }) => storageClassName === 'famfs' && nodeTopology,
      );
      return others.length === 0 ? ours : undefined;
    });
    const status = await eventually(story, 'status of the pool', async () => {
      const found = await poolStatus(story);
      return found.nodes?.length === cluster.nodes.length ? found : undefined;
    });
    expect(bytesOf(capacity.maximumVolumeSize)).toBe(status.largestFreeBytes);
    expect(bytesOf(capacity.capacity)).toBe(status.largestFreeBytes);
    expect(status).toMatchObject({ usedBytes: 0, files: 0, health: 'Healthy' });
    return (await cluster.kubectl('get', 'famfspools', POOL)).trimEnd().split('\n').at(-1);
  });

  step('only the node and mounter containers are privileged', async () => {
    const pods = await story.cluster.api.list(
      ...(['pods', story.namespace, `app.kubernetes.io/instance=${RELEASE}`] as const),
    );
    const privileged = pods.flatMap(({ spec }) =>
      [...spec.containers, ...(spec.initContainers ?? [])]
        .filter(({ securityContext }) => securityContext?.privileged)
        .map(({ name }) => name),
    );
    expect(pods.length).toBeGreaterThan(0);
    expect([...new Set(privileged)].sort()).toEqual(['mounter', 'node']);
    return undefined;
  });

  step('the API server takes the controller where Pod Security is restricted', async () => {
    const { cluster, namespace } = story;
    const [controller] = await podsOf(story, 'controller');
    const restricted = 'restricted-check';
    await cluster.apply([
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: {
          name: restricted,
          labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
        },
      },
    ]);
    const tryPod = (pod: KubeObject) =>
      cluster.api.ask('POST', `api/v1/namespaces/${restricted}/pods?dryRun=All`, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'check' },
        spec: { ...pod.spec, serviceAccountName: 'default', serviceAccount: undefined },
      });
    await eventually(story, 'service account of the namespace', () =>
      cluster.api.find('serviceaccounts', 'default', restricted),
    );
    const taken = await tryPod(controller);
    expect([taken.status, taken.body.message]).toEqual([201, undefined]);
    const [node] = await podsOf(story, 'node');
    const refused = await tryPod(node);
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('PodSecurity');
    await cluster.api.delete('namespaces', restricted);
    expect(namespace).not.toBe(restricted);
    return undefined;
  });
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** A quantity such as `1000Mi` in bytes. */
export function bytesOf(quantity: string): number {
  const [, number = '', unit = ''] = /^(\d+)(\w*)$/.exec(quantity) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}
