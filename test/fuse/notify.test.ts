import { describe, expect, test } from '@jest/globals';
import { invalidateEntry, invalidateInode, resend } from '../../src/fuse/notify.ts';
import { hex, toHex } from './messages.ts';

describe('notifications', () => {
  test('RESEND is a header with code 7', () => {
    const bytes = hex`10000000 07000000 0000000000000000`; // len, code, unique 0
    expect(toHex(resend())).toBe(toHex(bytes));
  });

  test('INVAL_ENTRY names the parent and the name', () => {
    const bytes = hex`
      28000000 03000000 0000000000000000 # len 40, code 3
      1000000000010000                   # parent 0x10000000010
      07000000 00000000                  # length without the NUL, flags
      6772c3b6c39f65 00                  # "größe"`;
    expect(toHex(invalidateEntry(0x100_0000_0010, 'größe'))).toBe(toHex(bytes));
  });

  test('INVAL_INODE has a range, or −1 to leave the pages alone', () => {
    const bytes = hex`
      28000000 02000000 0000000000000000 # len 40, code 2
      0300000000000000                   # inode
      0000000002000000 0010000000000000  # from 8 GiB, 4096 bytes`;
    expect(toHex(invalidateInode(3, 2 ** 33, 4096))).toBe(toHex(bytes));
    const off = invalidateInode(3, -1, 0).subarray(24, 32);
    expect(toHex(off)).toBe('ffffffffffffffff');
  });
});
