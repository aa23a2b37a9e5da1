import { join } from 'node:path';
import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import { output } from '../cluster/processes.ts';
import { eventually, POOL, podsOf, RELEASE, type Story } from './story.ts';

export function uninstall(story: Story): void {
  step('helm uninstall takes away all that the chart has made', async () => {
    const { cluster, namespace } = story;
    await cluster.helm('uninstall', RELEASE, '--namespace', namespace);
    await eventually(story, 'no pod of the chart is left', async () => {
      const pods = await Promise.all(
        ['controller', 'node', 'mounter'].map((part) => podsOf(story, part)),
      );
      return pods.flat().length === 0 || undefined;
    });
    const label = `app.kubernetes.io/instance=${RELEASE}`;
    const kinds = [
      ...['clusterroles', 'clusterrolebindings', 'csidrivers', 'storageclasses'],
      ...['persistentvolumes', 'persistentvolumeclaims', 'configmaps', 'serviceaccounts'],
      ...['roles', 'rolebindings', 'deployments', 'daemonsets', 'csistoragecapacities'],
    ];
    await eventually(story, 'no object of the chart is left', async () => {
      const left = await cluster.kubectl(
        ...['get', kinds.join(), '--all-namespaces', '-l', label, '--output=name'],
      );
      if (left !== '') throw new Error(left);
      return true;
    });
    return undefined;
  });

  step('the pool is consistent, says the tool that looks at all of it', async () => {
    const device = join(story.cluster.fabric, `${POOL}.fabric`);
    const report = await output([process.execPath, 'dist/main.js', 'check', '--json', device]);
    expect(JSON.parse(report)).toMatchObject({ problems: [] });
    return undefined;
  });

  step('no node has a mount of the driver left', async () => {
    const left = new Map<string, string[]>();
    for (const node of story.cluster.nodes) {
      const mounts = (await node.output(['cat', '/proc/self/mountinfo'])).split('\n');
      left.set(
        node.name,
        mounts.filter((line) => line.includes('fuse.famfs')),
      );
    }
    expect([...left.values()].flat()).toEqual([]);
    return undefined;
  });
}
