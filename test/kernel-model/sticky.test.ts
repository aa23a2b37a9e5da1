import { describe, expect, test } from '@jest/globals';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { Host } from './devices.ts';
import { Kernel } from './kernel.ts';
import { MUTANTS, MutantDevice, mutantPool } from './mutants.ts';
import { O_RDWR, Process } from './process.ts';
import type { RuleId } from './rules.ts';
import { type Served, serve } from './served.ts';
import type { Program } from './task.ts';

const pool = mutantPool();

/** A kernel that lives with what one broken server does, and what its programs get. */
function survivor(rule: RuleId, what: string): { kernel: Kernel; served: Served; pod: Process } {
  const mutant = MUTANTS.find((each) => each.rule === rule && each.what === what);
  if (mutant === undefined) throw new Error(`no mutant ${rule}: ${what}`);
  const host = new Host();
  host.add('/dev/dax0.0');
  const kernel = new Kernel({ name: mutant.kernel, host, tolerate: [rule] });
  const fs = pool.fileSystem({ generation: mutant.kernel as 'pull' });
  const served = serve(kernel, fs, { device: new MutantDevice(kernel, mutant) });
  return { kernel, served, pod: new Process(kernel) };
}

const codeIn = (served: Served, program: Program<unknown>) => {
  const task = served.start(program);
  served.settle();
  return (task.error as { code?: string } | undefined)?.code ?? 'fine';
};

/** Closes nothing and drops every name that is not in use: what is unused is forgotten. */
function evict(kernel: Kernel, served: Served): void {
  kernel.inodes.shrink();
  served.settle();
}

describe('a kernel that was told wrong keeps to it', () => {
  test('a size that changed: ENXIO once, then EIO and SIGBUS until the inode is evicted', () => {
    const { kernel, served, pod } = survivor('size-stays', 'GETATTR with another size');
    const file = served.do(pod.open('/vol/data', O_RDWR));
    const mapping = pod.mmap(file);
    kernel.nowMs += 10_000_000;
    expect([1, 2, 3].map(() => codeIn(served, pod.pread(file, 0, 1)))).toEqual([
      ...['ENXIO', 'EIO', 'EIO'],
    ]);
    expect(codeIn(served, pod.load(mapping, 0))).toBe('SIGBUS');
    const again = served.do(pod.open('/vol/data', O_RDWR));
    expect(codeIn(served, pod.pread(again, 0, 1))).toBe('EIO');
    mapping.unmap();
    for (const each of [file, again]) served.do(pod.close(each));
    evict(kernel, served);
    expect(codeIn(served, pod.pread(served.do(pod.open('/vol/data')), 0, 1))).toBe('fine');
  });

  test('push2: a file that was opened before its device was given stays bad', () => {
    const { kernel, served, pod } = survivor('registered-first', 'a device that was never given');
    const file = served.do(pod.open('/vol/data'));
    expect(codeIn(served, pod.load(pod.mmap(file), 0))).toBe('SIGBUS');
    kernel.devices.give(kernel.host.add('/dev/dax1.0'), 1);
    expect(codeIn(served, pod.load(pod.mmap(file), 0))).toBe('SIGBUS');
    const other = served.do(pod.open('/vol/other'));
    expect(codeIn(served, pod.load(pod.mmap(other), 0))).toBe('fine');
  });

  test('pull: a device that a pod was asked for is asked for again', () => {
    const { kernel, served } = survivor('mounter-opens-first', 'no open before a pod’s');
    const pod = new Process(kernel, { root: 'pod' });
    const file = served.do(pod.open('/vol/data'));
    expect(codeIn(served, pod.load(pod.mmap(file), 0))).toBe('SIGBUS');
    expect(codeIn(served, pod.pread(file, 0, 1))).toBe('EIO');
    served.do(new Process(kernel).open('/vol/other'));
    expect(codeIn(served, pod.pread(file, 0, 1))).toBe('fine');
    const asked = kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_DAXDEV);
    expect(asked).toHaveLength(2);
  });

  test('a map is asked for once, and again after eviction; an error, each time', () => {
    const { kernel, served, pod } = survivor('map-for-every-file', 'GET_FMAP answered ENOSYS');
    expect([1, 2].map(() => codeIn(served, pod.open('/vol/data')))).toEqual(['ENOSYS', 'ENOSYS']);
    const maps = () => kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_FMAP).length;
    expect(maps()).toBe(2);
    const healthy = new Kernel({ name: 'pull', host: kernel.host });
    const good = serve(healthy, pool.fileSystem({ generation: 'pull' }));
    const process = new Process(healthy);
    const count = () => healthy.sent.filter(({ opcode }) => opcode === OPCODE.GET_FMAP).length;
    const cycle = () => good.do(process.close(good.do(process.open('/vol/data'))));
    cycle();
    cycle();
    expect(count()).toBe(1);
    evict(healthy, good);
    cycle();
    expect(count()).toBe(2);
  });
});
