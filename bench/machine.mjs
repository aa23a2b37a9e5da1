import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { WRITE_BACK } from './fixtures.mjs';

/** What the figures were measured on, and how busy it was. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    coresUsed: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    v8: process.versions.v8,
    kernel: release(),
    writeBack: WRITE_BACK,
    loadAverage: loadavg()[0],
    date: new Date().toISOString(),
  };
}

export function describeMachine(found) {
  return (
    `${found.cpu}, ${found.coresUsed} of ${found.cores} cores, ${found.memoryGiB} GiB; ` +
    `node ${found.node}, Linux ${found.kernel}, ${found.writeBack}; load ${found.loadAverage}`
  );
}
