import { describe, expect, test } from '@jest/globals';
import { EIO, ENOENT } from '../../src/fuse/errno.ts';
import { hex, message, replyOf, toHex } from './messages.ts';
import { FILE_INO, OTHER_INO, served } from './served.ts';

const READDIR = 28;
const READDIRPLUS = 44;

function listing(cookie: number, lengthBytes: number): Uint8Array {
  const body = Buffer.alloc(40); // fh 0, flags 0
  body.writeBigUInt64LE(BigInt(cookie), 8);
  body.writeUInt32LE(lengthBytes, 16);
  return body;
}

describe('directories', () => {
  test('OPENDIR and RELEASEDIR carry a handle, FSYNCDIR has nothing to do', () => {
    const { answer, fs } = served();
    fs.openReply = { handle: 9, openFlags: 8 };
    const opened = answer(message(27, 1, hex`00800100 00000000`));
    expect(toHex(opened)).toBe(toHex(replyOf(0, hex`0900000000000000 08000000 00000000`)));
    const released = hex`0900000000000000 00800100 00000000 0000000000000000`;
    expect(toHex(answer(message(29, 1, released)))).toBe(toHex(replyOf(0)));
    expect(fs.calls).toEqual(['releasedir 1 9']);
    const fsyncdir = hex`0900000000000000 00000000 00000000`;
    expect(toHex(answer(message(30, 1, fsyncdir)))).toBe(toHex(replyOf(0)));
  });

  test('READDIR packs entries, each with the cookie of the next and padded to 8 bytes', () => {
    const { answer, fs } = served();
    const payload = hex`
      0100000000000000 0100000000000000 01000000 04000000 # root, cookie 1, name 1, DT_DIR
      2e 00000000000000                                   # "."
      0100000000000000 0200000000000000 02000000 04000000
      2e2e 000000000000                                   # ".."
      1000000000010000 0300000000000000 05000000 08000000 # DT_REG
      68656c6c6f 000000                                   # "hello"
      0300000000000000 0400000000000000 07000000 08000000 # length in bytes, not letters
      6772c3b6c39f65 00                                   # "größe"`;
    answer(message(3, FILE_INO, new Uint8Array(16))); // leaves bytes behind where the pads are
    expect(toHex(answer(message(READDIR, 1, listing(0, 4096))))).toBe(toHex(replyOf(0, payload)));
    expect(fs.references.size).toBe(0);
  });

  test('READDIR stops where the room ends and goes on at the cookie', () => {
    const { answer } = served();
    const first = answer(message(READDIR, 1, listing(0, 64)));
    expect(first?.length).toBe(16 + 64); // "." and ".."
    const rest = answer(message(READDIR, 1, listing(2, 64)));
    expect(toHex(rest?.subarray(16, 24))).toBe('1000000000010000');
    expect(toHex(answer(message(READDIR, 1, listing(4, 64))))).toBe(toHex(replyOf(0)));
  });

  test('READDIR with room for not even one entry is EINVAL, not the end of the directory', () => {
    const { answer } = served();
    expect(toHex(answer(message(READDIR, 1, listing(0, 31))))).toBe(toHex(replyOf(-22)));
    expect(toHex(answer(message(READDIR, 1, listing(4, 31))))).toBe(toHex(replyOf(0)));
  });

  test('READDIRPLUS gives a reference for each entry that was taken, but for . and ..', () => {
    const { answer, fs } = served();
    const entry = 128 + 24 + 8;
    const reply = answer(message(READDIRPLUS, 1, listing(0, 3 * entry)));
    expect(reply?.length).toBe(16 + 3 * entry);
    expect(fs.references).toEqual(new Map([[FILE_INO, 1]]));
    const nodeids = [0, 1, 2].map((at) => toHex(reply?.subarray(16 + at * entry).subarray(0, 8)));
    expect(nodeids).toEqual(['0000000000000000', '0000000000000000', '1000000000010000']);
    answer(message(READDIRPLUS, 1, listing(3, 4096)));
    expect(fs.references.get(OTHER_INO)).toBe(1);
  });

  test('READDIRPLUS has the entry that LOOKUP would give, then the name', () => {
    const { answer } = served();
    const lookup = answer(message(1, 1, hex`68656c6c6f 00`));
    const reply = answer(message(READDIRPLUS, 1, listing(2, 160)));
    expect(toHex(reply?.subarray(16, 16 + 128))).toBe(toHex(lookup?.subarray(16)));
    const dirent = '10000000000100000300000000000000050000000800000068656c6c6f000000';
    expect(toHex(reply?.subarray(16 + 128))).toBe(dirent);
  });

  test('READDIRPLUS that fails half-way gives no reference', () => {
    const { answer, fs, failures } = served();
    const whole = fs.readdir.bind(fs);
    fs.readdir = (ino, cookie, emit) => {
      whole(ino, cookie, emit);
      return EIO;
    };
    expect(toHex(answer(message(READDIRPLUS, 1, listing(0, 4096))))).toBe(toHex(replyOf(-5)));
    fs.readdir = (ino, cookie, emit) => {
      whole(ino, cookie, emit);
      throw new Error('half-way');
    };
    expect(toHex(answer(message(READDIRPLUS, 1, listing(0, 4096))))).toBe(toHex(replyOf(-5)));
    expect(failures.length).toBe(1);
    expect(fs.references.size).toBe(0);
  });

  test('READDIR of what the kernel calls more than a reply can hold fills the reply', () => {
    const { answer, fs } = served();
    fs.readdir = (_ino, _cookie, emit) => {
      const attr = fs.getattr(FILE_INO);
      if (typeof attr === 'number') return ENOENT;
      for (let i = 1; emit(`file-${i}`, attr, i); i++);
      return 0;
    };
    const reply = answer(message(READDIR, 1, listing(0, 0xffff_ffff)));
    expect(reply?.length).toBeGreaterThan(60_000);
    expect(Buffer.from(reply ?? []).readUInt32LE(0)).toBe(reply?.length);
  });
});

describe('extended attributes', () => {
  const colour = '757365722e636f6c6f7572'; // "user.colour"
  const get = (lengthBytes: string, name: string) =>
    message(22, FILE_INO, hex`${lengthBytes} 00000000 ${name} 00`);
  const list = (lengthBytes: string) => message(23, FILE_INO, hex`${lengthBytes} 00000000`);

  test('GETXATTR answers the value, or its length where there is no room for any', () => {
    const { answer } = served();
    expect(toHex(answer(get('00010000', colour)))).toBe(toHex(replyOf(0, hex`626c7565`)));
    expect(toHex(answer(get('04000000', colour)))).toBe(toHex(replyOf(0, hex`626c7565`)));
    expect(toHex(answer(get('00000000', colour)))).toBe(toHex(replyOf(0, hex`04000000 00000000`)));
  });

  test('GETXATTR with too little room is ERANGE, of an unknown name ENODATA', () => {
    const { answer, problems } = served();
    expect(toHex(answer(get('03000000', colour)))).toBe(toHex(replyOf(-34)));
    expect(toHex(answer(get('00010000', '757365722e78')))).toBe(toHex(replyOf(-61)));
    expect(toHex(answer(get('00010000', '757365722eff')))).toBe(toHex(replyOf(-61))); // no UTF-8
    expect(problems).toEqual([]);
  });

  test('GETXATTR of a value longer than any reply is ERANGE', () => {
    const { answer, fs } = served();
    fs.getxattr = () => new Uint8Array(65_537);
    expect(toHex(answer(get('ffffffff', colour)))).toBe(toHex(replyOf(-34)));
  });

  test('LISTXATTR answers the names, each with its NUL', () => {
    const { answer } = served();
    const names = hex`757365722e636f6c6f7572 00 757365722e7461737465 00`;
    expect(toHex(answer(list('17000000')))).toBe(toHex(replyOf(0, names)));
    expect(toHex(answer(list('16000000')))).toBe(toHex(replyOf(-34)));
    expect(toHex(answer(list('00000000')))).toBe(toHex(replyOf(0, hex`17000000 00000000`)));
  });
});
