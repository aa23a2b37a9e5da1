import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pidsThatMap } from './fabric-users.ts';
import type { LocalCluster } from './local-cluster.ts';

/**
 * What is left of a cluster that was stopped: mounts, files, and processes by what they map.
 * `keptLogs`: the logs' directory is no leftover, and so has a reader.
 */
export function leftovers(
  cluster: LocalCluster,
  { keptLogs = false }: { keptLogs?: boolean } = {},
): string[] {
  const { directory, fabric } = cluster;
  const files = keptLogs
    ? readdirSync(directory).filter((name) => name !== basename(cluster.logs))
    : ['.'];
  return [
    ...cluster.mounts(),
    ...[...files.map((name) => join(directory, name)), fabric].filter((path) => existsSync(path)),
    ...pidsThatMap(fabric).map((pid) => `process ${pid}`),
  ];
}
