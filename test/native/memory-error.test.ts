import { spawnSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { codeOf } from '../../src/base/errors.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { Scratch } from '../support/scratch.ts';

/**
 * Memory fails under a mapping: a poisoned page, a device that went away, or, as here, a file that
 * was cut short. The CPU raises SIGBUS then, and a process that does not expect it dies.
 */
const PAGE = 4096;
const MODULE = join(__dirname, '..', '..', 'dist', 'native', 'mapping.js');

let scratch: Scratch;
let file: string;

beforeEach(() => {
  scratch = new Scratch();
  file = scratch.join('memory');
  writeFileSync(file, Buffer.alloc(2 * PAGE, 1));
});

afterEach(() => scratch[Symbol.dispose]());

function outcome(run: () => unknown): string {
  try {
    run();
    return 'fine';
  } catch (error) {
    return codeOf(error) ?? String(error);
  }
}

const CALLS: readonly [string, (memory: Mapping, offset: number) => unknown][] = [
  ['read', (memory, offset) => memory.read(offset, 8)],
  ['write', (memory, offset) => memory.write(offset, new Uint8Array(8))],
  ['copyOut', (memory, offset) => memory.copyOut(offset, new Uint8Array(8))],
  ['copyIn', (memory, offset) => memory.copyIn(offset, new Uint8Array(8))],
  ['publish', (memory, offset) => memory.publish(offset, 7n)],
  ['load', (memory, offset) => memory.load(offset)],
  ['writeBack', (memory, offset) => memory.writeBack(offset, 8)],
  ['invalidate', (memory, offset) => memory.invalidate(offset, 8)],
];

/**
 * What a thread of its own does: maps the file, whose second page is gone, and walks over the edge
 * again and again, with work in between that must go on as if nothing had been.
 */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.module).then(({ Mapping }) => {
  const memory = Mapping.open(workerData.file, { writable: true, lengthBytes: 8192 });
  require('node:fs').truncateSync(workerData.file, 4096);
  const codes = {};
  const count = (code) => { codes[code] = (codes[code] ?? 0) + 1; };
  for (let round = 0; round < 200; round++) {
    for (const call of [
      () => memory.load(4096), () => memory.publish(4096, 1n), () => memory.load(0),
      () => memory.copyOut(4000, new Uint8Array(200)),
      () => memory.copyIn(4000, new Uint8Array(200)),
    ]) {
      try { call(); count('fine'); } catch (error) { count(error.code); }
    }
  }
  parentPort.postMessage(codes);
});
`;

function startThread(at: string): Promise<Record<string, number>> {
  writeFileSync(at, Buffer.alloc(2 * PAGE));
  const worker = new Worker(THREAD, { eval: true, workerData: { module: MODULE, file: at } });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)));
  });
}

describe('memory that fails', () => {
  test.each(CALLS)('is MEMORY_ERROR to %s, and what is left of it works', (_, call) => {
    using memory = Mapping.open(file, { writable: true });
    truncateSync(file, PAGE);
    expect(outcome(() => call(memory, PAGE))).toBe('MEMORY_ERROR');
    expect(outcome(() => call(memory, 2 * PAGE - 8))).toBe('MEMORY_ERROR');
    expect(outcome(() => call(memory, PAGE - 8))).toBe('fine');
  });

  test('is MEMORY_ERROR for a range that only ends in it', () => {
    using memory = Mapping.open(file, { writable: true });
    truncateSync(file, PAGE);
    const into = new Uint8Array(16);
    expect(outcome(() => memory.copyOut(PAGE - 8, into))).toBe('MEMORY_ERROR');
    expect(outcome(() => memory.write(PAGE - 8, into))).toBe('MEMORY_ERROR');
    expect(outcome(() => memory.writeBack(0, PAGE + 1))).toBe('MEMORY_ERROR');
  });

  test('works again once it is back', () => {
    using memory = Mapping.open(file, { writable: true });
    truncateSync(file, PAGE);
    expect(outcome(() => memory.load(PAGE))).toBe('MEMORY_ERROR');
    truncateSync(file, 2 * PAGE);
    expect(memory.load(PAGE)).toBe(0n);
    memory.publish(PAGE, 5n);
    expect(readFileSync(file)[PAGE]).toBe(5);
  });

  test('names the file and the place', () => {
    using memory = Mapping.open(file, { writable: false });
    truncateSync(file, 0);
    expect(() => memory.load(24)).toThrow(
      `${file} at 24 of 8192: the memory under the mapping failed (SIGBUS)`,
    );
  });

  test('hits only the thread that touches it, the main thread and others at once', async () => {
    const threads = [0, 1, 2].map((at) => startThread(scratch.join(`thread-${at}`)));
    using memory = Mapping.open(file, { writable: true });
    truncateSync(file, PAGE);
    const settled = Promise.all(threads);
    let done = false;
    void settled.finally(() => {
      done = true;
    });
    const seen = new Set<string>();
    while (!done) {
      for (let round = 0; round < 50; round++) seen.add(outcome(() => memory.load(PAGE)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await settled).toEqual(threads.map(() => ({ MEMORY_ERROR: 800, fine: 200 })));
    expect([...seen]).toEqual(['MEMORY_ERROR']);
  });

  test('does not make a process deaf to a SIGBUS that is not ours', () => {
    // What another part of the process does wrong stays a crash, also after we had the signal.
    const script = `
      const { Mapping } = await import(${JSON.stringify(MODULE)});
      const memory = Mapping.open(${JSON.stringify(file)}, { writable: false });
      const fs = await import('node:fs');
      fs.truncateSync(${JSON.stringify(file)}, 0);
      try { memory.load(0); } catch (error) { console.log(error.code); }
      fs.truncateSync(${JSON.stringify(file)}, 4096);
      console.log(memory.load(0));
      process.kill(process.pid, 'SIGBUS');
      process.kill(process.pid, 'SIGBUS');
      console.log('alive');`;
    const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect({ stdout, signal }).toEqual({ stdout: 'MEMORY_ERROR\n0n\n', signal: 'SIGBUS' });
  });
});
