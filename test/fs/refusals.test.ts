import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { at, FILES_AT, ModelPool, simple } from '../kernel-model/model-pool.ts';

const SECOND_DEVICE = {
  type: 'add-daxdev' as const,
  sizeBytes: 64 * MiB,
  deviceUuid: '00000000-0000-4000-8000-00000000dddd',
  devindex: 1,
};

/** Two volumes: `good` with one file, `bad` with `count` of 4 KiB, which only push2 can map. */
function poolOf(count: number): ModelPool {
  const pool = new ModelPool({ allocUnitBytes: 4096 });
  pool.directory('good');
  pool.file('good/data', simple(at(FILES_AT, 2 * MiB)));
  pool.directory('bad');
  pool.directory('bad/below');
  for (let file = 0; file < count; file++) {
    pool.file(`bad/below/f${file}`, simple(at(FILES_AT + 2 * MiB + file * 4096, 4096)));
  }
  return pool;
}

describe('files that this kernel or node cannot serve', () => {
  test('are named with the reason, below the path that was asked about and nowhere else', () => {
    using fs = poolOf(1).fileSystem({ generation: 'pull' });
    const refusal = {
      path: 'bad/below/f0',
      reason: `an extent of 4096 bytes at ${FILES_AT + 2 * MiB} is not aligned to 2097152`,
    };
    expect(fs.refusalsBelow('bad')).toEqual([refusal]);
    expect(fs.refusalsBelow('bad/below/f0')).toEqual([refusal]);
    expect(fs.refusalsBelow('')).toEqual([refusal]);
    expect(fs.refusalsBelow('good')).toEqual([]);
    expect(fs.refusalsBelow('none')).toEqual([]);
  });

  test('are five at most: who has thousands is told of some', () => {
    using fs = poolOf(20).fileSystem({ generation: 'push' });
    expect(fs.refusalsBelow('bad')).toHaveLength(5);
  });

  test('are none on push2, and none on the buffered path', () => {
    for (const generation of ['push2', 'buffered'] as const) {
      using fs = poolOf(3).fileSystem({ generation });
      const memoryOf = () => ({}) as ReturnType<typeof fs.pool.memoryOf>;
      if (generation === 'buffered') Object.assign(fs.pool, { memoryOf });
      expect([generation, fs.refusalsBelow('')]).toEqual([generation, []]);
    }
  });

  test('are those on a device that this node does not have', () => {
    const pool = new ModelPool();
    pool.append(SECOND_DEVICE);
    pool.file('near', simple(at(FILES_AT, 2 * MiB)));
    pool.file('far', simple(at(FILES_AT + 2 * MiB, 2 * MiB), at(2 * MiB, 2 * MiB, 1)));
    const reason = "is on device 1 of the pool, which this node's mounter does not have";
    const daxdevPath = (devindex: number) => (devindex === 0 ? '/dev/dax0.0' : undefined);
    using fs = pool.fileSystem({ generation: 'push2', daxdevPath });
    expect(fs.refusalsBelow('')).toEqual([{ path: 'far', reason }]);
    using both = pool.fileSystem({ generation: 'push2' });
    expect(both.refusalsBelow('')).toEqual([]);
    using buffered = pool.fileSystem();
    const asked: number[] = [];
    const memoryOf = (devindex: number) => {
      asked.push(devindex);
      return (devindex === 0 ? {} : undefined) as ReturnType<typeof buffered.pool.memoryOf>;
    };
    Object.assign(buffered.pool, { memoryOf });
    expect(buffered.refusalsBelow('')).toEqual([{ path: 'far', reason }]);
    expect(asked).toContain(1);
  });

  test('are refused at open, too, and the map of another is not given for them', () => {
    const pool = poolOf(1);
    const errors: string[] = [];
    using fs = pool.fileSystem({ generation: 'pull', onError: (text) => errors.push(text) });
    const file = fs.pool.replica.namespace.lookup('bad/below/f0');
    expect(fs.getFmap(file?.ino ?? 0)).toBe(-95);
    expect(errors).toEqual([expect.stringMatching(/^file bad\/below\/f0: an extent of 4096/)]);
  });
});
