import { afterEach, describe, expect, test } from '@jest/globals';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { probeWith } from '../../src/mounter/probe.ts';
import { Host } from './devices.ts';
import { KERNELS, type KernelName } from './generations.ts';
import { Kernel } from './kernel.ts';
import { Process } from './process.ts';
import type { Program } from './task.ts';

const kernels: Kernel[] = [];
afterEach(() => {
  for (const { rules } of kernels.splice(0)) expect(rules.breaches).toEqual([]);
});

/** Runs the real probe on a mount of this kernel; `opener` is what the probe has opened. */
async function probe(name: KernelName, options: { hasRawio?: boolean } = {}) {
  const kernel = new Kernel({ name, host: new Host(), ...options });
  kernels.push(kernel);
  const opened: unknown[] = [];
  const verdict = await probeWith(kernel, async () => {
    const task = kernel.start(readOneByte(new Process(kernel)));
    await task.finished.finally(() => opened.push(task.error ?? task.value));
  });
  return { verdict, kernel, opened: opened[0] };
}

function* readOneByte(process: Process): Program<string> {
  const file = yield* process.open('/.meta/.superblock');
  try {
    const bytes = yield* process.pread(file, 0, 1);
    return `read ${bytes.length}`;
  } finally {
    yield* process.close(file);
  }
}

describe('the probe finds out by doing', () => {
  test('pull: GET_FMAP without a body, and no DAXDEV_OPEN', async () => {
    const { verdict, opened } = await probe('pull');
    expect(verdict).toEqual({
      generation: 'pull',
      evidence: 'FUSE 7.46, GET_FMAP with a body of 0 bytes, DAXDEV_OPEN ENOTTY',
    });
    expect(opened).toMatchObject({ code: 'EIO' });
  });

  test.each(['push2', 'push'] as const)('%s: GET_FMAP with a room, DAXDEV_OPEN', async (name) => {
    const { verdict, opened } = await probe(name);
    expect(verdict).toEqual({
      generation: 'push',
      evidence: 'FUSE 7.46, GET_FMAP with a body of 8 bytes, DAXDEV_OPEN EBADF',
    });
    expect(opened).toMatchObject({ code: 'EIO' });
  });

  test('stock: bit 43 is not offered, and nothing is opened', async () => {
    const { verdict, kernel, opened } = await probe('stock');
    expect(verdict.generation).toBe('none');
    expect(verdict.evidence).toMatch(/^FUSE 7\.46 does not offer FUSE_DAX_FMAP/);
    expect([kernel.sent.length, opened]).toEqual([1, undefined]);
  });

  test('stock with bit 43 of another meaning: open leads to READ', async () => {
    const { verdict, kernel } = await probe('stock-bit43');
    expect(verdict).toEqual({
      generation: 'none',
      evidence: `FUSE 7.46 offers bit 43 with another meaning: open led to opcode 15, not GET_FMAP`,
    });
    expect(kernel.sent.map(({ opcode }) => opcode)).toContain(OPCODE.READ);
  });

  test('a mounter without CAP_SYS_RAWIO: what its kernel could do is not offered', async () => {
    for (const name of ['pull', 'push2', 'push'] as const) {
      const { verdict } = await probe(name, { hasRawio: false });
      expect([name, verdict.generation, verdict.evidence]).toEqual([
        name,
        'none',
        expect.stringContaining('lacks CAP_SYS_RAWIO'),
      ]);
    }
  });

  test('every kernel that there is has a verdict above', () => {
    const probed = ['stock', 'stock-bit43', 'pull', 'push2', 'push'];
    expect(Object.keys(KERNELS)).toEqual(probed);
  });
});
