import { describe, expect, test } from '@jest/globals';
import { ENOENT } from '../../src/fuse/errno.ts';
import { flatten, hex, message, replyOf, toHex } from './messages.ts';
import { FILE_INO, served } from './served.ts';

/** fuse_attr of the file that `served` has. */
const FILE_ATTR = `
  1000000000010000          # ino 0x10000000010: larger than 32 bits
  8813000000000000          # size 5000
  0a00000000000000          # blocks of 512 bytes: 10, rounded up
  00f1536500000000          # atime 1700000000
  00f1536500000000          # mtime
  00f1536500000000          # ctime
  00000000 00000000 00000000 # nanoseconds
  a4810000                  # mode 0100644
  01000000                  # nlink
  e8030000 64000000         # uid 1000, gid 100
  00000000                  # rdev
  00100000                  # blksize 4096
  00000000                  # flags`;

const FILE_ENTRY = `
  1000000000010000          # nodeid
  0100000000000000          # generation
  0100000000000000          # entry valid: 1.5 s
  100e000000000000          # attr valid: 3600 s
  0065cd1d 00000000         # nanoseconds: 500000000, 0
  ${FILE_ATTR}`;

describe('names and attributes', () => {
  test('LOOKUP answers the entry, and gives the kernel one reference', () => {
    const { answer, fs } = served();
    const request = hex`
      2e000000 01000000         # len 46, LOOKUP
      2211000000000000          # unique
      0100000000000000          # parent: the root
      e8030000 64000000 2a000000 # uid, gid, pid
      0000 0000                 # no extensions
      68656c6c6f 00             # "hello"`;
    const reply = hex(`
      90000000 00000000         # len 144, no error
      2211000000000000          # unique
      ${FILE_ENTRY}`);
    expect(toHex(answer(request))).toBe(toHex(reply));
    expect(fs.calls).toEqual(['lookup 1 hello']);
    expect(fs.references).toEqual(new Map([[FILE_INO, 1]]));
  });

  test('LOOKUP reads names as UTF-8', () => {
    const { answer, fs } = served();
    answer(message(1, 1, hex`6772c3b6c39f65 00`));
    expect(fs.calls).toEqual(['lookup 1 größe']);
  });

  test('LOOKUP of a name that is no UTF-8 is ENOENT, and asks nobody', () => {
    const { answer, fs, problems } = served();
    expect(toHex(answer(message(1, 1, hex`68ff6c 00`)))).toBe(toHex(replyOf(-2)));
    expect([fs.calls, problems]).toEqual([[], []]);
  });

  test('LOOKUP of a name that is not there gives no reference', () => {
    const { answer, fs } = served();
    expect(toHex(answer(message(1, 1, hex`6e6f 00`)))).toBe(toHex(replyOf(ENOENT)));
    expect(fs.references.size).toBe(0);
  });

  test('FORGET takes references back and has no reply', () => {
    const { answer, fs } = served();
    expect(answer(message(2, FILE_INO, hex`0300000000000000`))).toBeUndefined();
    expect(fs.calls).toEqual([`forget ${FILE_INO} 3`]);
  });

  test('BATCH_FORGET takes back references of each inode and has no reply', () => {
    const { answer, fs } = served();
    const body = hex`
      02000000 00000000                 # count 2
      1000000000010000 0100000000000000 # inode 0x10000000010, once
      0300000000000000 0000000001000000 # inode 3, 2^32 times`;
    expect(answer(message(42, 0, body))).toBeUndefined();
    expect(fs.calls).toEqual([`forget ${FILE_INO} 1`, 'forget 3 4294967296']);
  });

  test('GETATTR answers the attributes', () => {
    const { answer } = served();
    const body = hex`00000000 00000000 0000000000000000`;
    const payload = hex(`
      100e000000000000 00000000 00000000 # valid 3600 s
      ${FILE_ATTR}`);
    expect(toHex(answer(message(3, FILE_INO, body)))).toBe(toHex(replyOf(0, payload)));
  });

  test('STATX answers the basic attributes and says that it has no others', () => {
    const { answer } = served();
    const body = hex`
      00000000 00000000 0000000000000000 # flags, fh
      00000000 ff0f0000                  # sx_flags, sx_mask: basic and btime`;
    const payload = hex`
      100e000000000000 00000000 00000000 # valid 3600 s, flags
      0000000000000000 0000000000000000  # spare
      ff070000 00100000 0000000000000000 # mask: basic, blksize, attributes
      01000000 e8030000 64000000         # nlink, uid, gid
      a481 0000                          # mode
      1000000000010000 8813000000000000 0a00000000000000 # ino, size, blocks
      0000000000000000                   # attributes_mask
      00f1536500000000 00000000 00000000 # atime
      0000000000000000 00000000 00000000 # btime: unknown
      00f1536500000000 00000000 00000000 # ctime
      00f1536500000000 00000000 00000000 # mtime
      00000000 00000000 00000000 00000000 # rdev, dev
      ${'00'.repeat(112)}`;
    expect(toHex(answer(message(52, FILE_INO, body)))).toBe(toHex(replyOf(0, payload)));
  });

  const setattr = (valid: string) => hex`
      ${valid}0000 00000000             # valid, padding
      0000000000000000 0100000000000000 # fh, size 1
      0000000000000000                  # lock owner
      0000000000000000 0000000000000000 0000000000000000 # atime, mtime, ctime
      00000000 00000000 00000000        # nanoseconds
      ed810000 00000000                 # mode 0100755
      05000000 06000000 00000000        # uid 5, gid 6`;

  test('SETATTR hands on what its valid bits name, and nothing else', () => {
    const { answer, fs } = served();
    const change = (valid: string) => {
      answer(message(4, FILE_INO, setattr(valid)));
      return JSON.parse(fs.calls.at(-1)?.split(' ')[2] ?? '');
    };
    expect(change('0700')).toEqual({ mode: 0o100755, uid: 5, gid: 6, times: false });
    expect(change('0800')).toEqual({ sizeBytes: 1, times: false });
    for (const valid of ['1000', '2000', '8000', '0001', '0004']) {
      expect(change(valid)).toEqual({ times: true });
    }
    expect(change('4000')).toEqual({ times: false }); // a file handle changes nothing
  });

  test('SETATTR of the size gets the error that the file system gives', () => {
    const { answer } = served();
    expect(toHex(answer(message(4, FILE_INO, setattr('0800'))))).toBe(toHex(replyOf(-1)));
  });

  test('ACCESS tells who asks', () => {
    const { answer, fs } = served();
    const reply = answer(message(34, FILE_INO, hex`04000000 00000000`)); // R_OK
    expect(toHex(reply)).toBe(toHex(replyOf(0)));
    expect(fs.calls).toEqual([`access ${FILE_INO} 4 1000:100`]);
  });

  test('STATFS counts in blocks', () => {
    const { answer } = served();
    const payload = hex`
      e803000000000000 9001000000000000 2c01000000000000 # blocks 1000, free 400, available 300
      1400000000000000 0a00000000000000                  # files 20, free 10
      00100000 4f000000 00100000 00000000                # bsize, namelen 79, frsize
      000000000000000000000000000000000000000000000000`;
    expect(toHex(answer(message(17, 1)))).toBe(toHex(replyOf(0, payload)));
  });
});

describe('open files', () => {
  const handleAndFlags = hex`0700000000000000 02800000 00000000 0000000000000000`;

  test('OPEN answers the handle and its flags', () => {
    const { answer, fs } = served();
    fs.openReply = { handle: 0x1_0000_0007, openFlags: 2 };
    const reply = answer(message(14, FILE_INO, hex`02800000 00000000`)); // O_RDWR | O_LARGEFILE
    expect(toHex(reply)).toBe(
      toHex(
        replyOf(
          0,
          hex`
            0700000001000000  # fh
            02000000          # KEEP_CACHE
            00000000          # backing id`,
        ),
      ),
    );
    expect(fs.calls).toEqual([`open ${FILE_INO} 0x8002`]);
  });

  test('RELEASE gives the handle back', () => {
    const { answer, fs } = served();
    expect(toHex(answer(message(18, FILE_INO, handleAndFlags)))).toBe(toHex(replyOf(0)));
    expect(fs.calls).toEqual([`release ${FILE_INO} 7`]);
  });

  test('FLUSH and FSYNC reach the file system', () => {
    const { answer, fs } = served();
    expect(toHex(answer(message(25, FILE_INO, handleAndFlags)))).toBe(toHex(replyOf(0)));
    const fsync = hex`0700000000000000 01000000 00000000`; // data only
    expect(toHex(answer(message(20, FILE_INO, fsync)))).toBe(toHex(replyOf(0)));
    expect(fs.calls).toEqual([`flush ${FILE_INO}`, `fsync ${FILE_INO}`]);
  });

  const read = (offset: string) => hex`
      0700000000000000          # fh
      ${offset}                 # offset
      04000000 02000000         # size 4, read flags
      0000000000000000          # lock owner
      02800000 00000000         # open flags`;

  test('READ answers segments of the mappings behind a header that counts them', () => {
    const { responder, fs } = served();
    fs.memory.set([0xaa, 0xbb, 0xcc, 0xdd, 0xee], 16);
    const reply = responder.answer(message(15, FILE_INO, read('1000000000000000')));
    expect(toHex(reply?.head)).toBe('14000000000000002211000000000000');
    expect(reply?.segments?.map((segment) => segment.lengthBytes)).toEqual([2, 2]);
    expect(toHex(flatten(reply)?.subarray(16))).toBe('aabbccdd');
  });

  test('READ past the end is empty, however far', () => {
    const { responder } = served();
    for (const offset of ['8813000000000000', 'f0ffffffffffff7f', 'ffffffffffffffff']) {
      const reply = responder.answer(message(15, FILE_INO, read(offset)));
      expect(reply?.segments).toBeUndefined();
      expect(toHex(reply?.head)).toBe(toHex(replyOf(0)));
    }
  });

  const write = (offset: string) => hex`
      0700000000000000          # fh
      ${offset}                 # offset
      03000000 00000000         # size 3, write flags
      0000000000000000          # lock owner
      02800000 00000000         # open flags
      010203`;

  test('WRITE hands on a view of the request, not a copy', () => {
    const { answer, fs } = served();
    const request = message(16, FILE_INO, write('0500000000000000'));
    let seen: Uint8Array | undefined;
    const inner = fs.write.bind(fs);
    fs.write = (ino, offset, bytes) => {
      seen = bytes;
      return inner(ino, offset, bytes);
    };
    expect(toHex(answer(request))).toBe(toHex(replyOf(0, hex`03000000 00000000`)));
    expect(fs.calls).toEqual([`write ${FILE_INO} 5 3`]);
    expect(toHex(seen)).toBe('010203');
    expect(seen?.buffer).toBe(request.buffer);
  });

  test('WRITE beyond what a number can count is EFBIG', () => {
    const { answer, fs } = served();
    const request = message(16, FILE_INO, write('ffffffffffffff7f'));
    expect(toHex(answer(request))).toBe(toHex(replyOf(-27)));
    expect(fs.calls).toEqual([]);
  });

  test('LSEEK passes SEEK_DATA and SEEK_HOLE on', () => {
    const { answer } = served();
    const seek = (offset: string, whence: string) =>
      toHex(
        answer(message(46, FILE_INO, hex`0700000000000000 ${offset} ${whence}000000 00000000`)),
      );
    expect(seek('0a00000000000000', '03')).toBe(toHex(replyOf(0, hex`0a00000000000000`)));
    expect(seek('0a00000000000000', '04')).toBe(toHex(replyOf(0, hex`8813000000000000`)));
    expect(seek('8813000000000000', '03')).toBe(toHex(replyOf(-6))); // ENXIO
    expect(seek('ffffffffffffffff', '03')).toBe(toHex(replyOf(-6)));
  });
});

describe('requests that are sent again', () => {
  test('get their number back with its highest bit', () => {
    const { answer } = served();
    const request = message(3, FILE_INO, hex`00000000 00000000 0000000000000000`);
    request.set(hex`0600000000000080`, 8);
    expect(toHex(answer(request)?.subarray(0, 16))).toBe('78000000000000000600000000000080');
  });
});
