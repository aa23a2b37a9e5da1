import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Fault } from '../../src/base/errors.ts';
import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { EIO } from '../../src/fuse/errno.ts';
import { negotiate } from '../../src/fuse/init.ts';
import { message, toHex } from './messages.ts';
import { FILE_INO, OTHER_INO, served } from './served.ts';
import { readTranscript } from './transcript.ts';

const MESSAGE_BYTES_MAX = 40 + 256;

/** Known opcodes more often than unknown ones. */
const opcode = fc.oneof(fc.constantFrom(...Object.values(OPCODE)), fc.nat(70));
const nodeid = fc.oneof(fc.constantFrom(0, 1, FILE_INO, OTHER_INO), fc.nat());

/** A right header before any body: what gets past the first checks. */
const framed = fc
  .tuple(opcode, nodeid, fc.uint8Array({ maxLength: MESSAGE_BYTES_MAX - 40 }))
  .map(([op, node, body]) => message(op, node, body));

/** What a kernel really sent, with some bytes changed or its end cut off, the length put right. */
const recorded = readTranscript('push.txt').flatMap((exchange) =>
  exchange.kind === 'request' ? [exchange.bytes] : [],
);
const mutated = fc
  .tuple(
    fc.constantFrom(...recorded),
    fc.array(fc.tuple(fc.nat(MESSAGE_BYTES_MAX), fc.nat(255)), { maxLength: 4 }),
    fc.nat(MESSAGE_BYTES_MAX),
    fc.boolean(),
  )
  .map(([original, changes, length, isLengthRight]) => {
    const bytes = new Uint8Array(original.subarray(0, length));
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    if (isLengthRight && bytes.length >= 40) bytes.set([bytes.length, 0, 0, 0], 0);
    return bytes.length > 255 ? original : bytes;
  });

const anything = fc.oneof(fc.uint8Array({ maxLength: MESSAGE_BYTES_MAX }), framed, mutated);

function expectWellFormed(request: Uint8Array, reply: Uint8Array | undefined): void {
  if (reply === undefined) return;
  const view = Buffer.from(reply);
  expect(view.readUInt32LE(0)).toBe(reply.length);
  expect(toHex(reply.subarray(8, 16))).toBe(toHex(request.subarray(8, 16)));
  const error = view.readInt32LE(4);
  expect(error <= 0 && error > -512).toBe(true);
  if (error !== 0) expect(reply.length).toBe(16);
}

describe('any bytes', () => {
  test('get no reply or a well-formed one, and never an exception', () => {
    const { answer, failures } = served();
    fc.assert(
      fc.property(anything, (request) => expectWellFormed(request, answer(request))),
      { numRuns: 3_000 },
    );
    expect(failures).toEqual([]);
  });

  test('get the same from a file system that always throws', () => {
    const { answer, fs } = served();
    const thrower = () => {
      throw new Fault('CORRUPT', 'x: y');
    };
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(fs));
    for (const name of names.filter((name) => name !== 'constructor')) {
      Object.defineProperty(fs, name, { value: thrower });
    }
    fc.assert(
      fc.property(anything, (request) => expectWellFormed(request, answer(request))),
      { numRuns: 1_000 },
    );
    expect(Buffer.from(answer(message(17, 1)) ?? []).readInt32LE(4)).toBe(EIO);
  });

  test('are answered alike whatever was answered before', () => {
    const old = served();
    // But for WRITE: what READ gives after it is the file system's affair.
    const earlier = framed.filter((bytes) => bytes[4] !== OPCODE.WRITE);
    fc.assert(
      fc.property(fc.array(earlier, { maxLength: 5 }), earlier, (before, request) => {
        for (const bytes of before) old.answer(bytes);
        expect(toHex(old.answer(request))).toBe(toHex(served().answer(request)));
      }),
      { numRuns: 300 },
    );
  });

  test('are negotiated or refused with a Fault', () => {
    const init = recorded[0] ?? new Uint8Array();
    const request = fc
      .tuple(fc.nat(init.length), fc.uint8Array({ maxLength: 24 }))
      .map(([at, bytes]) => {
        const copy = new Uint8Array(init);
        copy.set(bytes.subarray(0, copy.length - at), at);
        return copy;
      });
    const outcome = (bytes: Uint8Array): string => {
      try {
        const { reply } = negotiate(bytes);
        expectWellFormed(bytes, reply);
        return 'negotiated';
      } catch (error) {
        return (error as Fault).name === 'Fault' ? (error as Fault).code : String(error);
      }
    };
    fc.assert(
      fc.property(fc.oneof(request, anything), (bytes) => {
        expect(['negotiated', 'UNSUPPORTED', 'INVALID']).toContain(outcome(bytes));
      }),
    );
  });
});
