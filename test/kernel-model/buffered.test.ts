import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import { FamfsFileSystem } from '../../src/fs/famfs-file-system.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { caught } from '../support/caught.ts';
import { Host } from './devices.ts';
import { Kernel } from './kernel.ts';
import { at, FILES_AT, ModelPool } from './model-pool.ts';
import { O_RDONLY, O_RDWR, Process } from './process.ts';
import { serve } from './served.ts';

const CHUNK = 2 * MiB;
const SIZE = 3 * CHUNK - 5;

let folder: string;
let device: string;
let memory: Mapping;

/** A pool in a file, with `data` in two strips: its second chunk begins the second strip. */
beforeEach(() => {
  folder = mkdtempSync('/dev/shm/famfs-buffered-');
  device = join(folder, 'device');
  const fd = openSync(device, 'w');
  ftruncateSync(fd, FILES_AT + 16 * MiB);
  closeSync(fd);
  memory = Mapping.open(device, { writable: true });
  const pool = new ModelPool({ memory });
  const strips = [at(FILES_AT, 2 * CHUNK), at(FILES_AT + 8 * MiB, CHUNK)];
  pool.file('data', { type: 'interleaved', chunkBytes: CHUNK, strips }, SIZE);
});

afterEach(() => {
  memory[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

/** One node: its kernel and its server over the device that all nodes share. */
function node(name: 'stock' | 'stock-bit43') {
  const kernel = new Kernel({ name, host: new Host() });
  const fs = new FamfsFileSystem({ name: 'model', device, writable: true, onError: () => {} });
  return { kernel, fs, served: serve(kernel, fs), process: new Process(kernel, { root: 'pod' }) };
}

describe.each(['stock', 'stock-bit43'] as const)('the buffered path, kernel %s', (name) => {
  test('is a healthy mount, whatever bit 43 means there: READ and WRITE, no GET_FMAP', () => {
    const { kernel, fs, served, process } = node(name);
    using _fs = fs;
    const file = served.do(process.open('/data', O_RDWR));
    expect(served.do(process.pwrite(file, CHUNK - 1, Uint8Array.of(1, 2)))).toBe(2);
    // The last byte of the first chunk, and the first of the second: of two strips.
    expect(memory.read(FILES_AT + CHUNK - 1, 1)).toEqual(Uint8Array.of(1));
    expect(memory.read(FILES_AT + 8 * MiB, 1)).toEqual(Uint8Array.of(2));
    expect(served.do(process.pread(file, SIZE - 1, 10))).toEqual(Uint8Array.of(0));
    const past = caught(() => served.do(process.pwrite(file, SIZE, Uint8Array.of(1))));
    expect(past.code).toBe('EFBIG');
    served.do(process.close(file));
    expect(kernel.famfs).toBeUndefined();
    expect(kernel.sent.filter(({ opcode }) => opcode === OPCODE.GET_FMAP)).toEqual([]);
  });

  test('has what a mapping stored in memory after msync, and after close', () => {
    const { fs, served, process } = node(name);
    using _fs = fs;
    const file = served.do(process.open('/data', O_RDWR));
    const mapping = process.mmap(file);
    served.do(process.store(mapping, 2 * CHUNK + 7, Uint8Array.of(7)));
    expect(memory.read(FILES_AT + CHUNK + 7, 1)).toEqual(Uint8Array.of(0));
    served.do(process.msync(mapping));
    expect(memory.read(FILES_AT + CHUNK + 7, 1)).toEqual(Uint8Array.of(7));
    served.do(process.store(mapping, SIZE - 1, Uint8Array.of(8)));
    mapping.unmap();
    served.do(process.close(file));
    expect(memory.read(FILES_AT + CHUNK + (SIZE - 1 - 2 * CHUNK), 1)).toEqual(Uint8Array.of(8));
  });

  test('shows another node at open what was closed, and no sooner', () => {
    const [here, there] = [node(name), node(name)];
    using _here = here.fs;
    using _there = there.fs;
    const reader = there.served.do(there.process.open('/data', O_RDONLY));
    expect(there.served.do(there.process.pread(reader, 0, 1))).toEqual(Uint8Array.of(0));
    const writer = here.served.do(here.process.open('/data', O_RDWR));
    here.served.do(here.process.pwrite(writer, 0, Uint8Array.of(9)));
    here.served.do(here.process.close(writer));
    expect(there.served.do(there.process.pread(reader, 0, 1))).toEqual(Uint8Array.of(0));
    const again = there.served.do(there.process.open('/data', O_RDONLY));
    expect(there.served.do(there.process.pread(again, 0, 1))).toEqual(Uint8Array.of(9));
  });
});
