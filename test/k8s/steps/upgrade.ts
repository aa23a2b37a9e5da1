import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import type { KubeObject } from '../cluster/api.ts';
import { isReady } from '../cluster/cluster.ts';
import { CHART } from './install.ts';
import { endLoad, loadedNode, underLoad } from './load.ts';
import { claim, pod } from './objects.ts';
import {
  check,
  eventually,
  gone,
  NAMESPACE,
  podsOf,
  poolStatus,
  RELEASE,
  type Story,
} from './story.ts';

const FABRIC_LABEL = 'example.org/fabric';

/** Changes of a release that runs: what of the fabric's nodes is known to the scheduler. */
export function upgrade(story: Story): void {
  step('helm upgrade keeps to the labelled nodes, and a running pod notices nothing', async () => {
    const { cluster, namespace } = story;
    const [controller] = await podsOf(story, 'controller');
    const options: readonly string[] = controller.spec.containers[0].args;
    expect(options).not.toContain('--log-level=debug');
    for (const { name } of cluster.nodes) {
      await cluster.kubectl('label', 'node', name, `${FABRIC_LABEL}=a`);
    }
    const isNew = ({ spec, status }: KubeObject) =>
      spec.containers[0].args.includes('--log-level=debug') && status.phase === 'Running';
    return underLoad(story, async () => {
      await cluster.helm(
        ...['upgrade', RELEASE, CHART, '--namespace', namespace, '--reuse-values'],
        ...['--set', `node.nodeSelector.${FABRIC_LABEL.replaceAll('.', '\\.')}=a`],
        ...['--set', 'logLevel=debug'],
      );
      await eventually(story, 'node plugins and controllers are new and Ready', async () => {
        const pods = [...(await podsOf(story, 'node')), ...(await podsOf(story, 'controller'))];
        const isDone = pods.every((pod) => isNew(pod) && isReady(pod));
        return (isDone && pods.length === 2 * cluster.nodes.length) || undefined;
      });
    });
  });

  step('a pod is not scheduled to a node outside of the fabric', async () => {
    const { cluster } = story;
    await loadedNode(story);
    const outside = await cluster.addNode();
    await cluster.apply([
      claim('outside', '8Mi'),
      pod('outside', { claim: 'outside', node: outside.name, command: ['sleep', 'infinity'] }),
      pod('tied', { claim: 'load', node: outside.name, command: ['sleep', 'infinity'] }),
    ]);
    const refused = async (name: string) => {
      const { status } = await cluster.api.get('pods', name, NAMESPACE);
      const [scheduled] = (status.conditions ?? []).filter(
        (condition: { type: string }) => condition.type === 'PodScheduled',
      );
      return scheduled?.reason === 'Unschedulable' ? String(scheduled.message) : undefined;
    };
    const why = await eventually(story, 'the new claim finds no node', () => refused('outside'));
    const whyTied = await eventually(story, 'the volume ties its pod', () => refused('tied'));
    expect(await podsOf(story, 'node')).toHaveLength(cluster.nodes.length - 1);
    await cluster.kubectl('delete', 'pod', 'outside', 'tied');
    await cluster.kubectl('delete', 'pvc', 'outside');
    await endLoad(story);
    await gone(story, 'persistentvolumeclaims', ['outside', 'load'], NAMESPACE);
    return `${why.slice(0, 90)} … / ${whyTied.slice(0, 90)} …`;
  });

  check('the memory of what was deleted is free to be used again', async () => {
    const look = async () => {
      const { quarantinedBytes, usedBytes } = await poolStatus(story);
      if (quarantinedBytes > 0) throw new Error(`${quarantinedBytes} of ${usedBytes} are not`);
      return true;
    };
    await eventually(story, 'no memory is in quarantine', look, { patienceMs: 60_000 });
  });
}
