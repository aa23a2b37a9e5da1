import { describe, expect, test } from '@jest/globals';
import { Fault, type FaultCode } from '../../src/base/errors.ts';
import { fakeMapping } from './memory-file-system.ts';
import { hex, message, replyOf, toHex } from './messages.ts';
import { FILE_INO, served } from './served.ts';

const EPERM = -1;
const ENOENT = -2;
const EIO = -5;
const EINVAL = -22;
const ENOSYS = -38;
const EOPNOTSUPP = -95;

/** Opcodes that the kernel takes no reply to, with a body that is right. */
const UNANSWERED: readonly [name: string, opcode: number, body: Uint8Array][] = [
  ['FORGET', 2, hex`0100000000000000`],
  ['INTERRUPT', 36, hex`2211000000000000`],
  ['NOTIFY_REPLY', 41, new Uint8Array(40)],
  ['BATCH_FORGET', 42, hex`01000000 00000000 0300000000000000 0100000000000000`],
];

describe('what is not served', () => {
  test.each([
    ['SYMLINK', 6],
    ['MKNOD', 8],
    ['MKDIR', 9],
    ['UNLINK', 10],
    ['RMDIR', 11],
    ['RENAME', 12],
    ['LINK', 13],
    ['CREATE', 35],
    ['RENAME2', 45],
    ['TMPFILE', 51],
  ])('%s is EPERM: names come and go through the log', (_name, opcode) => {
    const { answer, fs, problems } = served();
    expect(toHex(answer(message(opcode, 1, hex`00 61 00`)))).toBe(toHex(replyOf(EPERM)));
    expect([fs.calls, problems]).toEqual([[], []]);
  });

  test.each([
    ['SETXATTR', 21],
    ['REMOVEXATTR', 24],
    ['FALLOCATE', 43],
  ])('%s is EOPNOTSUPP', (_name, opcode) => {
    expect(toHex(served().answer(message(opcode, FILE_INO)))).toBe(toHex(replyOf(EOPNOTSUPP)));
  });

  test.each([
    ['READLINK', 5],
    ['INIT, a second time', 26],
    ['SETLK', 32],
    ['BMAP', 37],
    ['IOCTL', 39],
    ['POLL', 40],
    ['COPY_FILE_RANGE', 47],
    ['SYNCFS', 50],
    ['COPY_FILE_RANGE_64', 53],
    ['an opcode of the future', 4711],
  ])('%s is ENOSYS, so that the kernel does without', (_name, opcode) => {
    expect(toHex(served().answer(message(opcode, FILE_INO)))).toBe(toHex(replyOf(ENOSYS)));
  });

  test('DESTROY is answered, and that is all', () => {
    const { answer, fs } = served();
    expect(toHex(answer(message(38, 0)))).toBe(toHex(replyOf(0)));
    expect(fs.calls).toEqual([]);
  });

  test('INTERRUPT and NOTIFY_REPLY get no reply and reach nobody', () => {
    const { answer, fs } = served();
    expect(answer(message(36, 0, hex`2211000000000000`))).toBeUndefined();
    expect(answer(message(41, 0, new Uint8Array(40)))).toBeUndefined();
    expect(fs.calls).toEqual([]);
  });
});

describe('what is no request', () => {
  test.each<[name: string, request: Uint8Array, error: number, problem: RegExp]>([
    ['GETATTR cut short', message(3, 1, new Uint8Array(15)), EIO, /GETATTR: found a body of 15/],
    ['LOOKUP without a name', message(1, 1), EIO, /LOOKUP: found a body of 0 bytes/],
    ['LOOKUP of the empty name', message(1, 1, hex`00`), EINVAL, /LOOKUP: found no name/],
    ['a name without its NUL', message(1, 1, hex`6869`), EINVAL, /LOOKUP: found no name/],
    ['a NUL inside a name', message(1, 1, hex`68006900`), EINVAL, /LOOKUP: found a NUL/],
    ['WRITE of less than it says', message(16, 3, new Uint8Array(41)), EINVAL, /WRITE: found ano/],
    ['a node beyond 2^53', message(1, 2 ** 53, hex`6100`), ENOENT, /LOOKUP: found a node id/],
  ])('%s is refused and reported', (_name, request, error, problem) => {
    const { answer, fs, problems } = served();
    expect(toHex(answer(request))).toBe(toHex(replyOf(error)));
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(fs.calls).toEqual([]);
  });

  test('a message of another length than its header says is refused', () => {
    const { answer, problems } = served();
    const request = message(17, 1);
    request.set(hex`29000000`, 0);
    expect(toHex(answer(request))).toBe(toHex(replyOf(EIO)));
    expect(problems).toEqual(['STATFS: found 40 bytes, expected 41 as the header says']);
  });

  test('extensions at the end of a message are no part of its name', () => {
    const { answer, fs } = served();
    const request = message(1, 1, hex`68656c6c6f 00 6578742020202020`);
    request[36] = 1; // one unit of 8 bytes
    expect(toHex(answer(request)?.subarray(0, 8))).toBe('9000000000000000');
    expect(fs.calls).toEqual(['lookup 1 hello']);
    request[36] = 2; // more than there is
    expect(toHex(answer(request))).toBe(toHex(replyOf(EIO)));
  });

  test('without a whole header or with unique 0 there is nothing to answer to', () => {
    const { answer, problems } = served();
    for (const length of [0, 1, 16, 39]) {
      expect(answer(message(17, 1).subarray(0, length))).toBeUndefined();
    }
    expect(answer(message(17, 1, new Uint8Array(), 0))).toBeUndefined();
    expect(problems.length).toBe(5);
  });

  test('BATCH_FORGET of more inodes than it carries forgets none', () => {
    const { answer, fs, problems } = served();
    const body = hex`02000000 00000000 0300000000000000 0100000000000000`;
    expect(answer(message(42, 0, body))).toBeUndefined();
    expect(fs.calls).toEqual([]);
    expect(problems).toEqual(['BATCH_FORGET: found 16 bytes for 2 inodes']);
  });
});

describe('a handler that throws', () => {
  const getattr = message(3, FILE_INO, new Uint8Array(16));

  test('is an EIO to the caller and told with its error', () => {
    const { answer, fs, failures } = served();
    const error = new TypeError('undefined is not a function');
    fs.getattr = () => {
      throw error;
    };
    expect(toHex(answer(getattr))).toBe(toHex(replyOf(EIO)));
    expect(failures).toEqual([{ operation: 'GETATTR', error }]);
  });

  test.each<[FaultCode, number]>([
    ['NOT_FOUND', ENOENT],
    ['NO_SPACE', -28],
    ['READ_ONLY', -30],
    ['PERMISSION', EPERM],
    ['BUSY', -16],
    ['CORRUPT', EIO],
    ['MEMORY_ERROR', EIO],
    ['INTERNAL', EIO],
  ])('gives the error number of a Fault %s', (code, error) => {
    const { answer, fs, failures } = served();
    fs.getattr = () => {
      throw new Fault(code, 'x: y');
    };
    expect(toHex(answer(getattr))).toBe(toHex(replyOf(error)));
    expect(failures.length).toBe(1);
  });

  test.each(UNANSWERED)('sends nothing in reply to %s', (name, opcode, body) => {
    const { answer, fs, failures } = served();
    fs.forget = () => {
      throw new Fault('CORRUPT', 'x: y');
    };
    expect(answer(message(opcode, FILE_INO, body))).toBeUndefined();
    expect(failures.length).toBe(name.endsWith('FORGET') ? 1 : 0);
  });

  test.each(UNANSWERED)('sends nothing in reply to %s that is cut short', (name, opcode) => {
    const { answer, problems } = served();
    expect(answer(message(opcode, FILE_INO))).toBeUndefined();
    expect(problems.length).toBe(name === 'NOTIFY_REPLY' ? 0 : 1);
  });

  test('leaves no data behind for the next reply', () => {
    const { responder, fs } = served();
    const memory = fakeMapping(fs.memory);
    const size4 = Buffer.alloc(40);
    size4.writeUInt32LE(4, 16);
    const read = message(15, FILE_INO, size4);
    fs.read = () => [{ memory, offset: 0, lengthBytes: 4 }];
    expect(responder.answer(read)?.segments?.length).toBe(1);
    fs.read = () => [{ memory, offset: 0, lengthBytes: 5 }]; // more than was asked for
    const reply = responder.answer(read);
    expect(reply?.segments).toBeUndefined();
    expect(toHex(reply?.head)).toBe(toHex(replyOf(EIO)));
    expect(responder.answer(getattr)?.segments).toBeUndefined();
  });
});
