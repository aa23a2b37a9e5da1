import { delimiter, join } from 'node:path';
import { afterAll, describe } from '@jest/globals';
import { step } from '../vm/story.ts';
import { Cluster } from './cluster/cluster.ts';
import { damage } from './steps/damage.ts';
import { deadNode } from './steps/dead-node.ts';
import { examples } from './steps/examples.ts';
import { install } from './steps/install.ts';
import { lifecycle } from './steps/lifecycle.ts';
import { rbac } from './steps/rbac.ts';
import { refusals } from './steps/refusals.ts';
import type { Story } from './steps/story.ts';
import { uninstall } from './steps/uninstall.ts';
import { upgrade } from './steps/upgrade.ts';

const { FAMFS_K8S_FOLDER: folder = '', FAMFS_K8S_CACHE: cache = '' } = process.env;
const images = (process.env.FAMFS_K8S_IMAGES ?? '').split(delimiter);
const NODES = 2;
/** `--hold` ends with the process; what a timer can wait for is enough. */
const HOLD_MS = 2 ** 31 - 1;
/** Each stands on a chart that is installed; for work on one of them, `--only=NAME,…`. */
const GROUPS = {
  ...{ examples, lifecycle, refusals, upgrade },
  ...{ 'dead-node': deadNode, damage, rbac, uninstall },
};
const only = process.env.FAMFS_K8S_ONLY ?? '';

const story = { namespace: 'famfs-csi' } as Story;

afterAll(async () => {
  if (process.env.FAMFS_K8S_HOLD === '1') await new Promise(() => undefined);
  await story.cluster?.stop();
}, HOLD_MS);

describe('a cluster of real components', () => {
  step('starts, and its nodes become ready', async () => {
    const begin = performance.now();
    story.cluster = await Cluster.start(
      {
        folder,
        fabric: join(folder, 'fabric'),
        cniPrograms: join(cache, 'debian/usr/lib/cni'),
        runc: join(cache, 'debian/usr/sbin/runc'),
        cgroup: folder.split('/').at(-1) ?? '',
      },
      NODES,
      images,
    );
    return `${NODES} nodes in ${((performance.now() - begin) / 1000).toFixed(0)} s`;
  });

  install(story);
  for (const [name, steps] of Object.entries(GROUPS)) {
    if (only === '' || only.split(',').includes(name)) steps(story);
  }
});
