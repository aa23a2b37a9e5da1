import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { addon, type MappingHandle } from '../../src/native/addon.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { Scratch } from '../support/scratch.ts';

const SIZE = 8192;

let scratch: Scratch;
let file: string;
let mapping: Mapping;

beforeAll(() => {
  scratch = new Scratch();
  file = scratch.join('memory');
});

beforeEach(() => {
  mapping?.[Symbol.dispose]();
  writeFileSync(file, Buffer.alloc(SIZE, 0x5a));
  mapping = Mapping.open(file, { writable: true });
});

afterAll(() => {
  mapping[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

/** The code and the text of what `run` throws; undefined when it throws nothing. */
function thrownBy(run: () => unknown): { code: string; message: string } | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
}

function untouched(): boolean {
  return readFileSync(file).equals(Buffer.alloc(SIZE, 0x5a));
}

describe('a mapping', () => {
  test('is all of its file, and what it stores is in the file', () => {
    expect(mapping.lengthBytes).toBe(SIZE);
    mapping.write(SIZE - 3, Uint8Array.of(1, 2, 3));
    mapping.copyIn(0, Uint8Array.of(9));
    expect([...readFileSync(file).subarray(-4)]).toEqual([0x5a, 1, 2, 3]);
    expect(readFileSync(file)[0]).toBe(9);
  });

  test('reads what another mapping of the same memory stores', () => {
    using other = Mapping.open(file, { writable: false });
    mapping.write(4090, Buffer.from('across a page'));
    expect(Buffer.from(other.read(4090, 13)).toString()).toBe('across a page');
    const into = new Uint8Array(4);
    other.copyOut(4090, into);
    expect(Buffer.from(into).toString()).toBe('acro');
  });

  test('reads into the array that it is given, if that has the length', () => {
    mapping.write(8, Uint8Array.of(1, 2, 3, 4));
    const spare = new Uint8Array(4);
    expect(mapping.read(8, 4, spare)).toBe(spare);
    expect([...spare]).toEqual([1, 2, 3, 4]);
    expect([...mapping.read(9, 3, spare)]).toEqual([2, 3, 4]);
    expect([...mapping.read(8, 5, spare)]).toEqual([1, 2, 3, 4, 0x5a]);
    expect([...spare]).toEqual([1, 2, 3, 4]);
  });

  test('reads into arrays that share no byte, and that are no Buffers', () => {
    const [first, second] = [mapping.read(0, 8), mapping.read(8, 8)];
    first.fill(1);
    expect([...second]).toEqual(Array(8).fill(0x5a));
    expect(Buffer.isBuffer(first)).toBe(false);
  });

  test('publishes and loads any word of 64 bits, least significant byte first', () => {
    for (const word of [0n, 1n, 0x0123456789abcdefn, 2n ** 64n - 1n]) {
      mapping.publish(SIZE - 8, word);
      expect(mapping.load(SIZE - 8)).toBe(word);
      expect(readFileSync(file).readBigUInt64LE(SIZE - 8)).toBe(word);
    }
  });

  test('may be shorter than its file, and then ends there', () => {
    using part = Mapping.open(file, { writable: true, lengthBytes: 100 });
    expect(part.read(0, 100).length).toBe(100);
    expect(thrownBy(() => part.read(1, 100))?.code).toBe('INVALID');
    expect(thrownBy(() => part.write(100, Uint8Array.of(1)))?.code).toBe('INVALID');
  });

  test.each([-1, 0, 0.5, Number.NaN, SIZE + 1, 2 ** 53])('is not %d bytes long', (lengthBytes) => {
    const open = () => Mapping.open(file, { writable: false, lengthBytes });
    expect(thrownBy(open)?.code).toBe('INVALID');
  });

  test('takes an empty range anywhere in it, its end included', () => {
    expect(mapping.read(SIZE, 0)).toEqual(new Uint8Array());
    mapping.write(SIZE, new Uint8Array());
    expect(mapping.writeBack(SIZE, 0)).toBe(0);
    expect(untouched()).toBe(true);
  });
});

describe('what is no memory', () => {
  test.each([
    ['a directory', true, 'INVALID', 'is a directory, expected a dax device'],
    ['a directory', false, 'INVALID', 'is a directory, expected a dax device'],
    ['a fifo', true, 'INVALID', 'neither file nor device'],
    ['a fifo', false, 'INVALID', 'neither file nor device'],
    ['an empty file', false, 'INVALID', 'has 0 bytes, at least 1'],
    ['nothing', false, 'NOT_FOUND', 'no such device or file'],
    ['/dev/null', true, 'INVALID', 'a character device without a size'],
  ])('%s is refused, writable: %s', (what, writable, code, message) => {
    const path = what.startsWith('/') ? what : scratch.join(what.replaceAll(' ', '-'));
    if (what === 'a directory') mkdirSync(path, { recursive: true });
    if (what === 'a fifo') spawnSync('mkfifo', [path]);
    if (what === 'an empty file') writeFileSync(path, '');
    expect(thrownBy(() => Mapping.open(path, { writable }))).toEqual({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('leaves no descriptor open', () => {
    const probe = openSync('/dev/null', 'r');
    closeSync(probe);
    for (const path of ['/dev/null', scratch.path, file]) {
      thrownBy(() => Mapping.open(path, { writable: false, lengthBytes: 2 ** 40 }));
    }
    const next = openSync('/dev/null', 'r');
    closeSync(next);
    expect(next).toBe(probe);
    expect(statSync(file).size).toBe(SIZE);
  });
});

type Call = (memory: Mapping, offset: never, lengthBytes: never) => unknown;

/** Every call that takes a range, of eight bytes where the length is not the caller's to say. */
const CALLS: Readonly<Record<string, Call>> = {
  read: (memory, offset, lengthBytes) => memory.read(offset, lengthBytes),
  writeBack: (memory, offset, lengthBytes) => memory.writeBack(offset, lengthBytes),
  invalidate: (memory, offset, lengthBytes) => memory.invalidate(offset, lengthBytes),
  sync: (memory, offset, lengthBytes) => memory.sync(offset, lengthBytes),
  flush: (memory, offset, lengthBytes) => memory.flush(offset, lengthBytes),
  write: (memory, offset) => memory.write(offset, new Uint8Array(8)),
  copyIn: (memory, offset) => memory.copyIn(offset, new Uint8Array(8)),
  copyOut: (memory, offset) => memory.copyOut(offset, new Uint8Array(8)),
  publish: (memory, offset) => memory.publish(offset, 1n),
  load: (memory, offset) => memory.load(offset),
};
const NO_NUMBERS = ['0', '', null, undefined, 0n, {}, [0], true];
const BAD_OFFSETS = [
  ...[-1, -8, -0.5, 0.5, 8.25, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...[SIZE - 7, SIZE, SIZE + 8, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64],
  ...NO_NUMBERS,
];
const BAD_LENGTHS = [
  ...[-1, -0.5, 0.5, Number.NaN, Number.POSITIVE_INFINITY, SIZE - 7, SIZE + 1],
  ...[2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64 - 8, 2 ** 64],
  ...NO_NUMBERS,
];

describe.each(Object.entries(CALLS))('%s', (name, call) => {
  test('refuses every offset that is none, and touches nothing', () => {
    const codes = BAD_OFFSETS.map((offset) => {
      return thrownBy(() => call(mapping, offset as never, 8 as never))?.code;
    });
    expect(codes).toEqual(BAD_OFFSETS.map(() => 'INVALID'));
    expect(untouched()).toBe(true);
  });

  test('is INVALID once the mapping is closed, and closing again is fine', () => {
    mapping[Symbol.dispose]();
    mapping[Symbol.dispose]();
    expect(thrownBy(() => call(mapping, 0 as never, 8 as never))).toEqual({
      code: 'INVALID',
      message: `${file} at 0 of ${SIZE}: the mapping is closed`,
    });
    expect(thrownBy(() => call(mapping, 0 as never, 0 as never))?.code).toBe('INVALID');
  });

  const stores = ['write', 'copyIn', 'publish'].includes(name);
  test(`${stores ? 'is refused' : 'works'} where the mapping is for reading`, () => {
    using readOnly = Mapping.open(file, { writable: false });
    const thrown = thrownBy(() => call(readOnly, 8 as never, 8 as never));
    expect(thrown?.code).toBe(stores ? 'READ_ONLY' : undefined);
    expect(untouched()).toBe(true);
  });
});

describe.each(['read', 'writeBack', 'invalidate', 'sync', 'flush'])('%s', (name) => {
  test('refuses every length that is none', () => {
    const codes = BAD_LENGTHS.map((lengthBytes) => {
      return thrownBy(() => CALLS[name]?.(mapping, 8 as never, lengthBytes as never))?.code;
    });
    expect(codes).toEqual(BAD_LENGTHS.map(() => 'INVALID'));
  });
});

describe.each(['publish', 'load'])('%s', (name) => {
  test('refuses a word that is not at a multiple of 8 bytes', () => {
    for (const offset of [1, 2, 3, 4, 5, 6, 7, 4095, SIZE - 9]) {
      expect(thrownBy(() => CALLS[name]?.(mapping, offset as never, 8 as never))).toEqual({
        code: 'INVALID',
        message: expect.stringContaining('a word must be at a multiple of 8 bytes'),
      });
    }
    expect(untouched()).toBe(true);
  });
});

describe('the addon', () => {
  test('refuses what is not a mapping', () => {
    const into = new Uint8Array(8);
    for (const handle of [null, undefined, 0, 'mapping', {}, [], mapping, into, () => 0]) {
      const fake = handle as unknown as MappingHandle;
      const raw = addon();
      const calls = [
        () => raw.unmap(fake),
        () => raw.copyOut(fake, 0, into, false),
        () => raw.copyIn(fake, 0, into, false),
        () => raw.writeBack(fake, 0, 8),
        () => raw.invalidate(fake, 0, 8),
        () => raw.publish(fake, 0, 1n),
        () => raw.load(fake, 0),
        () => raw.sync(fake, 0, 8),
      ];
      expect(calls.map((call) => thrownBy(call)?.code)).toEqual(calls.map(() => 'ARGUMENT'));
    }
  });

  test('refuses bytes that are no Uint8Array, and flags that are no booleans', () => {
    const raw = addon();
    const bad = [
      null,
      'bytes',
      [1, 2],
      new ArrayBuffer(8),
      new Uint16Array(4),
      new DataView(new ArrayBuffer(8)),
    ];
    for (const bytes of bad as unknown as Uint8Array[]) {
      expect(thrownBy(() => raw.copyIn(mapping.handle, 0, bytes, true))?.code).toBe('ARGUMENT');
      expect(thrownBy(() => raw.copyOut(mapping.handle, 0, bytes, true))?.code).toBe('ARGUMENT');
    }
    // Once they were passed over in silence: the bytes were neither stored nor refused.
    for (const flag of [undefined, null, 0, 'true'] as unknown as boolean[]) {
      const bytes = new Uint8Array(8);
      expect(thrownBy(() => raw.copyIn(mapping.handle, 0, bytes, flag))?.code).toBe('ARGUMENT');
      expect(thrownBy(() => raw.copyOut(mapping.handle, 0, bytes, flag))?.code).toBe('ARGUMENT');
      expect(thrownBy(() => raw.map(0, 8, flag))?.code).toBe('ARGUMENT');
    }
    expect(untouched()).toBe(true);
  });

  test('refuses words that are not of 64 bits', () => {
    for (const word of [-1n, 2n ** 64n, 1, '1', undefined] as bigint[]) {
      expect(thrownBy(() => addon().publish(mapping.handle, 0, word))?.code).toBe('RANGE');
      expect(thrownBy(() => addon().store(mapping.handle, 0, word))?.code).toBe('RANGE');
    }
    expect(untouched()).toBe(true);
  });

  test('refuses descriptors that are no integers: NaN is not descriptor 0', () => {
    const raw = addon();
    for (const fd of [Number.NaN, 0.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, '0', null] as number[]) {
      const calls = [
        () => raw.map(fd, 8, false),
        () => raw.tryLock(fd),
        () => raw.prepare(fd),
        () => raw.receive(fd, -1, new Uint8Array(8), 0),
        () => raw.send(fd, new Uint8Array(8), [], []),
        () => raw.fetchDescriptor(process.pid, fd),
      ];
      expect(calls.map((call) => thrownBy(call)?.code)).toEqual(calls.map(() => 'ARGUMENT'));
    }
  });

  test('refuses a call with too few arguments', () => {
    const raw = addon() as unknown as Record<string, () => unknown>;
    const none = ['eventfd', 'fence', 'fuseConnections', 'writeBackInstruction'];
    const names = Object.keys(raw).filter((name) => !none.includes(name));
    expect(names.length).toBeGreaterThan(15);
    const codes = names.map((name) => thrownBy(() => raw[name]?.())?.code);
    expect(codes).toEqual(names.map(() => 'ARGUMENT'));
  });
});

describe('send', () => {
  /** A descriptor that takes a writev, and shows what came of it. */
  function sendTo(handles: unknown, ranges: unknown): string | undefined {
    const path = scratch.join('sent');
    const fd = openSync(path, 'w');
    try {
      const head = Buffer.from('head ');
      return thrownBy(() => addon().send(fd, head, handles as never, ranges as never))?.code;
    } finally {
      closeSync(fd);
    }
  }
  const sent = () => readFileSync(scratch.join('sent'), 'latin1');

  test('gathers the head and the ranges, in order', () => {
    mapping.write(0, Buffer.from('first second '));
    const { handle } = mapping;
    expect(sendTo([handle, handle, handle], [6, 7, SIZE, 0, 0, 6])).toBeUndefined();
    expect(sent()).toBe('head second first ');
  });

  test('refuses a range outside its mapping, and sends nothing at all', () => {
    const { handle } = mapping;
    for (const bad of BAD_OFFSETS) {
      expect(sendTo([handle, handle], [0, 8, bad, 8])).toBe('RANGE');
      expect(sent()).toBe('');
    }
    for (const bad of BAD_LENGTHS) {
      expect(sendTo([handle, handle], [0, 8, 8, bad])).toBe('RANGE');
      expect(sent()).toBe('');
    }
  });

  test('refuses ranges that are missing, and handles that are none', () => {
    const { handle } = mapping;
    for (const ranges of [[], [0], [0, 8, 0], undefined, null, 7, 'ranges']) {
      expect(sendTo([handle], ranges)).toBe('ARGUMENT');
    }
    for (const handles of [undefined, null, handle, { 0: handle, length: 1 }, Array(1024)]) {
      expect(sendTo(handles, [0, 8])).toBe('ARGUMENT');
    }
    expect(sendTo([{}], [0, 8])).toBe('ARGUMENT');
    expect(sent()).toBe('');
  });

  test('refuses a mapping that is closed', () => {
    mapping[Symbol.dispose]();
    expect(sendTo([mapping.handle], [0, 8])).toBe('CLOSED');
    expect(sent()).toBe('');
  });
});
