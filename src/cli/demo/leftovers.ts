import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { codeOf } from '../../base/errors.ts';
import type { LocalCluster } from './local-cluster.ts';

/** What is left of a cluster that was stopped: mounts, files, and processes by what they map. */
export function leftovers(cluster: LocalCluster): string[] {
  const files = [cluster.directory, cluster.fabric].filter((path) => existsSync(path));
  const processes = readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && maps(pid, cluster.fabric),
  );
  return [...cluster.mounts(), ...files, ...processes.map((pid) => `process ${pid}`)];
}

function maps(pid: string, fabric: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8').includes(fabric);
  } catch (error) {
    const code = codeOf(error);
    // It ended meanwhile, or it is another user's and so none of ours.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return false;
    throw error;
  }
}
