import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import type { KubeObject } from '../cluster/api.ts';
import { claim, pod } from './objects.ts';
import { DRIVER, eventually, gone, NAMESPACE, POOL, podsOf, type Story } from './story.ts';

const DAX = 'famfs-dax';
const SLEEP = { command: ['sleep', 'infinity'] };

/** The driver's event of one reason on an object of one kind; another one than `not`, or later. */
export function told(
  story: Story,
  reason: string,
  kind: string,
  not?: KubeObject,
): Promise<KubeObject> {
  return eventually(story, `an event ${reason} on a ${kind}`, async () => {
    const events = await story.cluster.api.list('events');
    return events.find(
      (event) =>
        event.reason === reason &&
        event.involvedObject.kind === kind &&
        event.lastTimestamp !== not?.lastTimestamp,
    );
  });
}

/** What cannot be done, and that users are told why. */
export function refusals(story: Story): void {
  step('dataPath dax is refused on nodes without it; claim and node say why', async () => {
    const { cluster } = story;
    await cluster.apply([
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: DAX },
        provisioner: DRIVER,
        volumeBindingMode: 'WaitForFirstConsumer',
        parameters: { pool: POOL, dataPath: 'dax' },
      },
      claim('dax', '4Mi', DAX),
      pod('dax', { claim: 'dax', ...SLEEP }),
    ]);
    const onClaim = await told(story, 'NodeWithoutDaxPath', 'PersistentVolumeClaim');
    expect(onClaim.message).toContain('dataPath: any');
    const onNode = await told(story, 'NodeWithoutDaxPath', 'Node');
    const { status, spec } = await cluster.api.get('pods', 'dax', NAMESPACE);
    expect(status.phase).toBe('Pending');
    // A plugin says it once in ten minutes; the next one, with the same event.
    const plugins = await podsOf(story, 'node');
    const plugin = plugins.find((one) => one.spec.nodeName === spec.nodeName);
    await cluster.api.delete('pods', plugin.metadata.name, story.namespace);
    const again = await told(story, 'NodeWithoutDaxPath', 'Node', onNode);
    expect(again.metadata.uid).toBe(onNode.metadata.uid);
    await cluster.kubectl('delete', 'pod/dax', 'pvc/dax', `storageclass/${DAX}`);
    await gone(story, 'persistentvolumeclaims', ['dax'], NAMESPACE);
    return onNode.message;
  });

  step('a pool that is full is an event on the claim, and its pod is scheduled anew', async () => {
    const { cluster } = story;
    const names = ['full-a', 'full-b'];
    await cluster.apply(
      names.flatMap((name) => [claim(name, '600Mi'), pod(name, { claim: name, ...SLEEP })]),
    );
    const event = await told(story, 'PoolFull', 'PersistentVolumeClaim');
    const phases = await eventually(story, 'the other claim is bound', async () => {
      const claims = await Promise.all(
        names.map((name) => cluster.api.get('persistentvolumeclaims', name, NAMESPACE)),
      );
      const found = new Map(claims.map(({ metadata, status }) => [metadata.name, status.phase]));
      return [...found.values()].includes('Bound') ? found : undefined;
    });
    expect(phases.get(event.involvedObject.name)).toBe('Pending');
    await cluster.kubectl('delete', 'pod', ...names);
    await cluster.kubectl('delete', 'pvc', ...names);
    await gone(story, 'persistentvolumeclaims', names, NAMESPACE);
    return event.message;
  });
}
