import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import { isReady } from '../cluster/cluster.ts';
import { loadedNode, underLoad } from './load.ts';
import { claim, pod } from './objects.ts';
import {
  DRIVER,
  eventually,
  gone,
  NAMESPACE,
  POOL,
  podOf,
  podsOf,
  podsReady,
  poolAsBefore,
  poolStatus,
  type Story,
} from './story.ts';

const IMMEDIATE = 'famfs-immediate';
const CLAIMS = Array.from({ length: 20 }, (_, index) => `many-${index}`);

/** Deletes a component's pod on the load's node, and waits for the next one. */
async function replaceUnderLoad(story: Story, component: string): Promise<string> {
  const { cluster, namespace } = story;
  const node = await loadedNode(story);
  const onNode = async () =>
    (await podsOf(story, component)).filter(({ spec }) => spec.nodeName === node);
  const [old] = await onNode();
  return underLoad(story, async () => {
    await cluster.api.delete('pods', old.metadata.name, namespace);
    await eventually(story, `another ${component} is Ready`, async () => {
      const found = await onNode();
      const isNew = found.every(({ metadata }) => metadata.uid !== old.metadata.uid);
      return (found.length === 1 && isNew && found.every(isReady)) || undefined;
    });
  });
}

export function lifecycle(story: Story): void {
  step('a claim that is deleted while a pod has it waits for the pod', async () => {
    const { cluster } = story;
    const before = await poolStatus(story);
    await cluster.apply([
      claim('held', '16Mi'),
      pod('holder', { claim: 'held', command: ['sleep', 'infinity'] }),
    ]);
    await podsReady(story, ['holder']);
    await cluster.api.delete('persistentvolumeclaims', 'held', NAMESPACE);
    const held = await cluster.api.get('persistentvolumeclaims', 'held', NAMESPACE);
    expect(held.metadata.deletionTimestamp).toBeDefined();
    const volume = held.spec.volumeName;
    await cluster.kubectl('exec', 'holder', '--', 'sha256sum', '/data/data');
    await cluster.kubectl('delete', 'pod', 'holder');
    await gone(story, 'persistentvolumeclaims', ['held'], NAMESPACE);
    await gone(story, 'persistentvolumes', [volume]);
    await poolAsBefore(story, before);
    return undefined;
  });

  step("the node plugin's pod is replaced, and a running pod notices nothing", async () => {
    return replaceUnderLoad(story, 'node');
  });

  step("the mounter's pod is replaced, and a running pod notices nothing", async () => {
    return replaceUnderLoad(story, 'mounter');
  });

  step('twenty claims bind once each, though the leading controller is killed', async () => {
    const { cluster, namespace } = story;
    await cluster.apply([
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: IMMEDIATE },
        provisioner: DRIVER,
        parameters: { pool: POOL, dataPath: 'any' },
      },
    ]);
    const before = await poolStatus(story);
    const lease = await cluster.api.get('leases', `famfs-csi-${POOL}`, namespace);
    await cluster.apply(CLAIMS.map((name) => claim(name, '4Mi', IMMEDIATE)));
    await cluster.api.delete('pods', podOf(lease), namespace, 0);
    const begin = performance.now();
    const claims = await eventually(
      story,
      'all twenty are bound',
      async () => {
        const found = await Promise.all(
          CLAIMS.map((name) => cluster.api.get('persistentvolumeclaims', name, NAMESPACE)),
        );
        const bound = found.filter(({ status }) => status.phase === 'Bound');
        if (bound.length < CLAIMS.length) throw new Error(`${bound.length} are bound`);
        return found;
      },
      { patienceMs: 180_000 },
    );
    const seconds = ((performance.now() - begin) / 1000).toFixed(0);
    expect(new Set(claims.map(({ spec }) => spec.volumeName)).size).toBe(CLAIMS.length);
    await eventually(story, 'the pool has twenty files more, and no other', async () => {
      const { files } = await poolStatus(story);
      return files === before.files + CLAIMS.length || undefined;
    });
    const after = await cluster.api.get('leases', `famfs-csi-${POOL}`, namespace);
    expect(podOf(after)).not.toBe(podOf(lease));
    await cluster.kubectl('delete', 'pvc', ...CLAIMS);
    await cluster.kubectl('delete', 'storageclass', IMMEDIATE);
    const volumes = claims.map((one) => one.spec.volumeName);
    await gone(story, 'persistentvolumes', volumes);
    await poolAsBefore(story, before);
    return `${seconds} s`;
  });
}
