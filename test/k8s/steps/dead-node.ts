import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import type { KubeObject } from '../cluster/api.ts';
import { claim, pod } from './objects.ts';
import { eventually, gone, NAMESPACE, podsReady, poolStatus, type Story } from './story.ts';

const NAME = 'stranded';
const BYTES = 32 * 2 ** 20;
/** Maps its volume, and keeps it. */
const PROGRAM = `
import mmap, time
with open('/data/data', 'r+b') as file:
    memory = mmap.mmap(file.fileno(), 0)
time.sleep(10**6)
`;

/** A machine that is gone with what it had mapped: what an operator does, and what waits for it. */
export function deadNode(story: Story): void {
  step(
    'a node that dies hard keeps its memory in quarantine, until its Node is deleted',
    async () => {
      const { cluster } = story;
      const node = cluster.nodes[1];
      if (node === undefined) throw new Error('there is no second node');
      await cluster.apply([
        claim(NAME, `${BYTES}`),
        pod(NAME, { claim: NAME, node: node.name, command: ['python3', '-u', '-c', PROGRAM] }),
      ]);
      await podsReady(story, [NAME]);
      await cluster.killNode(node);
      const { spec } = await cluster.api.get('persistentvolumeclaims', NAME, NAMESPACE);
      const volume = String(spec.volumeName);
      await cluster.kubectl('delete', 'pod', NAME, '--force', '--grace-period=0');
      await cluster.kubectl('delete', 'pvc', NAME, '--wait=false');
      // Kubernetes would do this six minutes after the node went silent.
      const attachments = await cluster.api.list('volumeattachments');
      for (const { metadata, spec: of } of attachments) {
        if (of.source.persistentVolumeName !== volume) continue;
        await cluster.kubectl('delete', 'volumeattachment', metadata.name);
      }
      await gone(story, 'persistentvolumes', [volume]);
      const waiting = await eventually(story, 'its memory waits for that node alone', async () => {
        const { quarantine = [] } = await poolStatus(story);
        const found = quarantine.find((one: KubeObject) => one.volume === volume);
        const names = (found?.waitsFor ?? []).map((one: { node: string }) => one.node).join();
        if (names !== node.name) throw new Error(`it waits for "${names}"`);
        return found;
      });
      expect(waiting.bytes).toBe(BYTES);
      await cluster.kubectl('delete', 'node', node.name);
      await eventually(story, 'its memory is free', async () => {
        const { quarantinedBytes } = await poolStatus(story);
        return quarantinedBytes === 0 || undefined;
      });
      return JSON.stringify(waiting.waitsFor[0]);
    },
  );
}
