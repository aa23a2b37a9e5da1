import { readFileSync } from 'node:fs';
import { expect } from '@jest/globals';
import { step } from '../../vm/story.ts';
import {
  eventually,
  gone,
  NAMESPACE,
  POOL,
  podOf,
  podsOf,
  podsReady,
  poolAsBefore,
  type Story,
  selectedReady,
} from './story.ts';

const FOLDER = 'docs/examples';
const QUICK_MS = 60_000;

/** Each example as its own comment says to use it. */
export function examples(story: Story): void {
  const kubectl = (...args: readonly string[]) => story.cluster.kubectl(...args);
  const apply = (name: string) => kubectl('apply', '-f', `${FOLDER}/${name}.yaml`);
  const remove = (name: string) => kubectl('delete', '-f', `${FOLDER}/${name}.yaml`);

  step('quickstart: two pods share a mapped file within a minute', async () => {
    const begin = performance.now();
    await apply('quickstart');
    await podsReady(story, ['famfs-writer', 'famfs-reader'], { patienceMs: QUICK_MS });
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const last = (await kubectl('logs', 'famfs-reader')).trimEnd().split('\n').at(-1);
    expect(last).toMatch(/^hello from the writer, number \d+$/);
    await remove('quickstart');
    return `${seconds} s`;
  });

  step('dataset: a Job fills a volume from files', async () => {
    await apply('dataset');
    await eventually(story, 'the Job is complete', async () => {
      const job = await story.cluster.api.get('jobs', 'famfs-dataset', NAMESPACE);
      return job.status?.succeeded === 1 || undefined;
    });
    expect(await kubectl('logs', 'job/famfs-dataset')).toContain('(3, 3) from');
    return undefined;
  });

  step('readers: pods on two nodes map the same bytes, with mmap and numpy.memmap', async () => {
    const claim = await story.cluster.api.get(
      ...(['persistentvolumeclaims', 'famfs-dataset', NAMESPACE] as const),
    );
    const text = readFileSync(`${FOLDER}/readers.yaml`, 'utf8');
    const readers = text.replaceAll('DIRECTORY', claim.spec.volumeName);
    await story.cluster.apply(readers);
    const pods = await selectedReady(story, 'app=famfs-readers', 2);
    expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
    const sums = new Set<string>();
    for (const { metadata } of pods) {
      expect(await kubectl('logs', metadata.name, '-c', 'mmap')).toContain('sum 49.5');
      expect(await kubectl('logs', metadata.name, '-c', 'numpy')).toContain('(3, 3): sum 49.5');
      const sum = ['sha256sum', '/dataset/data'];
      sums.add(await kubectl('exec', metadata.name, '-c', 'mmap', '--', ...sum));
    }
    expect(sums.size).toBe(1);
    await kubectl('delete', 'deployment/famfs-readers', 'pvc/famfs-dataset-readers');
    await kubectl('delete', 'pv/famfs-dataset-readers');
    await remove('dataset');
    return [...sums].join().slice(0, 16);
  });

  step('statefulset: readers follow what one pod writes', async () => {
    await apply('statefulset');
    const pods = await selectedReady(story, 'app=famfs-feed-reader', 2);
    const logs = await Promise.all(pods.map(({ metadata }) => kubectl('logs', metadata.name)));
    for (const text of logs) expect(text).toMatch(/^record \d+ at /);
    await remove('statefulset');
    await gone(story, 'persistentvolumeclaims', ['feed-famfs-feed-0'], NAMESPACE);
    return undefined;
  });

  step('ephemeral: a volume comes and goes with its pod', async () => {
    await apply('ephemeral');
    await eventually(story, 'the pod has succeeded', async () => {
      const pod = await story.cluster.api.get('pods', 'famfs-ephemeral', NAMESPACE);
      return pod.status.phase === 'Succeeded' || undefined;
    });
    expect(await kubectl('logs', 'famfs-ephemeral', '-c', 'consumer')).toContain("b'pass'");
    await remove('ephemeral');
    await gone(story, 'persistentvolumeclaims', ['famfs-ephemeral-scratch'], NAMESPACE);
    return undefined;
  });

  step('static: a directory that is in the pool already is used, and never deleted', async () => {
    const { cluster, namespace } = story;
    const lease = await cluster.api.get('leases', `famfs-csi-${POOL}`, namespace);
    const leader = podOf(lease);
    expect((await podsOf(story, 'controller')).map(({ metadata }) => metadata.name)).toContain(
      leader,
    );
    const device = `/var/lib/famfs/emulated/${POOL}.fabric`;
    const inLeader = ['-n', namespace, 'exec', leader, '-c', 'controller', '--', 'famfs-csi'];
    await kubectl(...inLeader, 'mkdir', device, 'reference', '--mode', '0777');
    await kubectl(
      ...[...inLeader, 'create', device, 'reference/table', '--size', '16M', '--mode', '0666'],
    );
    await apply('static');
    await eventually(story, 'the pod has succeeded', async () => {
      const pod = await cluster.api.get('pods', 'famfs-reference', NAMESPACE);
      return pod.status.phase === 'Succeeded' || undefined;
    });
    expect(await kubectl('logs', 'famfs-reference')).toContain("16777216 b'used'");
    await remove('static');
    expect(await kubectl(...inLeader, 'ls', '-r', device)).toContain('reference/table');
    return undefined;
  });

  step('what the examples made is gone from the pool again, but for the static file', async () => {
    await poolAsBefore(story, { files: 1, usedBytes: 16 * 1024 ** 2, quarantinedBytes: 0 });
    return undefined;
  });
}
