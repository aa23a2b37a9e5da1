import { describe, expect, test } from '@jest/globals';
import { negotiate, requestBufferBytes } from '../../src/fuse/init.ts';
import { hex, message, replyOf, toHex } from './messages.ts';

const INIT = 26;

/** fuse_init_in as a kernel of that minor sends it; INIT_EXT (bit 30) came with 7.36. */
function init(minor: number, flags = 0xffff_ffff, flags2 = 0xffff_ffff): Uint8Array {
  const body = Buffer.alloc(minor < 36 ? 16 : 64);
  body.writeUInt32LE(7, 0);
  body.writeUInt32LE(minor, 4);
  body.writeUInt32LE(0x20000, 8); // max_readahead
  body.writeUInt32LE(minor < 36 ? flags & 0x3fff_ffff : flags, 12);
  if (minor >= 36) body.writeUInt32LE(flags2, 16);
  return message(INIT, 0, body);
}

describe('INIT', () => {
  test('asks for what this server can do, out of all that a kernel offers', () => {
    const { reply } = negotiate(init(46));
    const payload = hex`
      07000000 2e000000 # 7.46
      00000200          # max_readahead: the kernel's
      21e04440          # ASYNC_READ BIG_WRITES DO_READDIRPLUS READDIRPLUS_AUTO ASYNC_DIO
                        # PARALLEL_DIROPS MAX_PAGES INIT_EXT
      0c00 0900         # max_background 12, congestion_threshold 9
      00001000          # max_write 1 MiB
      01000000          # time_gran 1 ns
      0001 0000         # max_pages 256, map_alignment
      80000000          # flags2: HAS_RESEND
      00000000 0000     # max_stack_depth, request_timeout
      ${'00'.repeat(22)}`;
    expect(toHex(reply)).toBe(toHex(replyOf(0, payload)));
  });

  test('asks for nothing that the kernel does not offer', () => {
    const { reply, negotiated } = negotiate(init(46, 0, 0));
    expect(negotiated).toMatchObject({ flags: 0, flags2: 0, canResend: false, daxFmap: false });
    expect(Buffer.from(reply).readUInt32LE(16 + 12)).toBe(0);
    expect(negotiated.maxWriteBytes).toBe(128 * 1024); // without MAX_PAGES
  });

  test('takes flags2 for nothing where INIT_EXT is not offered', () => {
    const { negotiated } = negotiate(init(46, 0x3fff_ffff));
    expect(negotiated).toMatchObject({ flags2: 0, offeredFlags2: 0 });
  });

  test('asks for bit 43 only when told to and offered', () => {
    const asked = (flags2: number) =>
      negotiate(init(46, 0xffff_ffff, flags2), { requestDaxFmap: true });
    expect(asked(0x800).negotiated.daxFmap).toBe(true);
    expect(Buffer.from(asked(0x800).reply).readUInt32LE(16 + 32)).toBe(0x800);
    expect(asked(0x7ff).negotiated.daxFmap).toBe(false);
    expect(negotiate(init(46)).negotiated.daxFmap).toBe(false);
  });

  test('agrees on the lower minor version', () => {
    expect(negotiate(init(99)).negotiated).toMatchObject({ minor: 46, kernelMinor: 99 });
    expect(negotiate(init(31)).negotiated).toMatchObject({ minor: 31, offeredFlags2: 0 });
    expect(negotiate(init(31)).reply.length).toBe(16 + 64);
  });

  test('answers kernels before 7.23 with the struct that they know', () => {
    const { reply } = negotiate(init(22));
    expect(reply.length).toBe(16 + 24);
    expect(Buffer.from(reply).readUInt32LE(0)).toBe(16 + 24);
  });

  test('refuses other protocols as UNSUPPORTED, other messages as INVALID', () => {
    const other = init(46);
    other[40] = 8;
    const found = (text: string) => new RegExp(`found FUSE protocol ${text}, expected 7.12 or`);
    expect(() => negotiate(other)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching('8.46') }),
    );
    expect(() => negotiate(init(11))).toThrow(found('7.11'));
    for (const bytes of [message(17, 1), init(46).subarray(0, 60), new Uint8Array()]) {
      expect(() => negotiate(bytes)).toThrow(expect.objectContaining({ code: 'INVALID' }));
    }
  });

  test('gives what can be handed over as JSON', () => {
    const { negotiated } = negotiate(init(46));
    expect(JSON.parse(JSON.stringify(negotiated))).toEqual(negotiated);
    expect(requestBufferBytes(negotiated)).toBe(1024 * 1024 + 4096);
  });
});
