import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addon } from '../../src/native/addon.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { COMPILER, compile } from '../support/compile.ts';
import { Disassembly } from '../support/disassembly.ts';
import { missingCommand, testUnless } from '../support/requirements.ts';
import { Scratch } from '../support/scratch.ts';

const NATIVE = join(__dirname, '..', '..', 'native');
const PROGRAMS = join(__dirname, 'programs');
const LEVELS = ['-O0', '-O2', '-O3'];
const IS_X64 = process.arch === 'x64';

let scratch: Scratch;

beforeAll(() => {
  scratch = new Scratch();
});

afterAll(() => scratch[Symbol.dispose]());

/** The instruction that writes a line back here, as the kernel lists what the CPU has. */
function expectedInstruction(): string {
  if (!IS_X64) return 'dc cvac';
  const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  return ['clwb', 'clflushopt', 'clflush'].find((name) => flags.includes(name)) ?? 'none';
}

/** What drops a line: clwb may keep it. */
function invalidation(): string {
  const writeBack = expectedInstruction();
  return writeBack === 'clflush' ? 'clflush' : 'clflushopt';
}

/** cache.c, or another source, as a shared object by the compiler for `arch`, at one level. */
function disassemble(source: string, level: string, toolPrefix: string): Disassembly {
  const output = scratch.join('cache.so');
  const compiler = toolPrefix === '' ? COMPILER : `${toolPrefix}gcc`;
  const flags = [level, '-fPIC', '-shared', '-nostdlib', '-ffreestanding'];
  compile(output, [source], flags, compiler);
  return new Disassembly(output, `${toolPrefix}objdump`);
}

const CACHE = join(NATIVE, 'cache.c');
const CROSS = 'aarch64-linux-gnu-';
const COMPILERS = [
  {
    arch: process.arch,
    prefix: '',
    missing: missingCommand('objdump'),
  },
  ...(IS_X64 ? [{ arch: 'arm64', prefix: CROSS, missing: missingCommand(`${CROSS}gcc`) }] : []),
];
const WRITE_BACK = { x64: ['clwb', 'clflushopt', 'clflush'], arm64: ['dc cvac'] };
const INVALIDATE = { x64: ['clflushopt', 'clflush'], arm64: ['dc civac'] };
const KEEPS_THE_LINE = { x64: ['clwb'], arm64: ['dc cvac'] };
const WRITE_BACK_FENCE = { x64: 'sfence', arm64: 'dsb' };
const INVALIDATE_FENCE = { x64: 'mfence', arm64: 'dsb' };

describe.each(COMPILERS)('the machine code for $arch', ({ arch, prefix, missing }) => {
  const name = arch as 'x64' | 'arm64';
  const codeTest = testUnless(missing);

  for (const level of LEVELS) {
    codeTest(`writes every line back in a loop, and fences apart, at ${level}`, () => {
      const code = disassemble(CACHE, level, prefix);
      const looped = code.inLoops('cache_write_back');
      expect(WRITE_BACK[name].filter((one) => !looped.has(one))).toEqual([]);
      expect(code.all('cache_write_back')).not.toContain(WRITE_BACK_FENCE[name]);
      expect(code.all('cache_fence')).toContain(WRITE_BACK_FENCE[name]);
    });

    codeTest(`drops every line in a loop, by what drops and not by what keeps, at ${level}`, () => {
      const code = disassemble(CACHE, level, prefix);
      const looped = code.inLoops('cache_invalidate');
      expect(INVALIDATE[name].filter((one) => !looped.has(one))).toEqual([]);
      expect(KEEPS_THE_LINE[name].filter((one) => looped.has(one))).toEqual([]);
      expect(code.all('cache_invalidate')).toContain(INVALIDATE_FENCE[name]);
    });
  }

  // The reference's flush writes nothing back at -O2. What finds that must find it here too.
  codeTest('is seen to lack what the compiler was free to drop', () => {
    const source = join(PROGRAMS, 'dropped.c');
    const first = WRITE_BACK[name][0];
    expect(disassemble(source, '-O0', prefix).inLoops('cache_write_back')).toContain(first);
    expect(disassemble(source, '-O2', prefix).all('cache_write_back')).not.toContain(first);
  });
});

const stepTest = testUnless(
  IS_X64 ? undefined : `single steps are for x64, this is ${process.arch}`,
);

describe('step by step', () => {
  for (const level of LEVELS) {
    stepTest(
      `each line gets its instruction once, in order, and a drop its fences, at ${level}`,
      () => {
        const sources = [join(PROGRAMS, 'single-step.c'), CACHE];
        const program = compile(scratch.join('single-step'), sources, [level, '-mno-red-zone']);
        const run = (...args: unknown[]) =>
          execFileSync(program, args.map(String), { encoding: 'utf8' }).trim();
        const back = expectedInstruction();
        const drop = invalidation();
        expect(run('write-back', 0, 0)).toBe('0 lines');
        expect(run('write-back', 64, 64)).toBe(`${back} 64, 1 lines`);
        expect(run('write-back', 63, 2)).toBe(`${back} 0, ${back} 64, 2 lines`);
        expect(run('fence', 0, 0)).toBe('sfence, 0 lines');
        expect(run('invalidate', 127, 66)).toBe(
          `mfence, ${drop} 64, ${drop} 128, ${drop} 192, mfence, 3 lines`,
        );
        const all = Array.from({ length: 64 }, (_, line) => `${back} ${4096 + 64 * line}, `);
        expect(run('write-back', 4096, 4096)).toBe(`${all.join('')}64 lines`);
      },
    );
  }
});

describe('the addon', () => {
  test('has chosen the best instruction that the CPU has', () => {
    expect(addon().writeBackInstruction()).toBe(expectedInstruction());
  });

  test('counts the lines of any range, whole or cut', () => {
    const path = scratch.join('memory');
    writeFileSync(path, Buffer.alloc(8192));
    using memory = Mapping.open(path, { writable: true });
    const line = 4096 / memory.writeBack(0, 4096);
    expect(line).toBe(IS_X64 ? 64 : 2 ** Math.round(Math.log2(line)));
    const cases: [offset: number, lengthBytes: number, lines: number][] = [
      [0, 0, 0],
      [line, 0, 0],
      [0, 1, 1],
      [line - 1, 1, 1],
      [line - 1, 2, 2],
      [line, line, 1],
      [1, line - 1, 1],
      [1, line, 2],
      [1, 2 * line - 1, 2],
      [1, 2 * line, 3],
      [4095, 2, 2],
      [8191, 1, 1],
      [0, 8192, 8192 / line],
      [1, 8190, 8192 / line],
    ];
    for (const [offset, lengthBytes, lines] of cases) {
      const counted = [
        memory.writeBack(offset, lengthBytes),
        memory.invalidate(offset, lengthBytes),
      ];
      expect({ offset, lengthBytes, counted }).toEqual({
        offset,
        lengthBytes,
        counted: [lines, lines],
      });
    }
  });

  test('loses no store when it writes back and drops the line', () => {
    const path = scratch.join('stores');
    writeFileSync(path, Buffer.alloc(4096));
    using memory = Mapping.open(path, { writable: true });
    memory.copyIn(10, Buffer.from('kept'));
    memory.writeBack(10, 4);
    memory.copyIn(100, Buffer.from('kept too'));
    memory.invalidate(0, 4096);
    expect(Buffer.from(memory.read(10, 4)).toString()).toBe('kept');
    expect(Buffer.from(memory.read(100, 8)).toString()).toBe('kept too');
  });
});
