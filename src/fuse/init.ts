import { Fault } from '../base/errors.ts';
import {
  FUSE_MAJOR,
  FUSE_MINOR,
  FUSE_MINOR_OLDEST,
  INIT_FLAG,
  INIT_FLAG2,
  OPCODE,
} from './abi-constants.ts';
import {
  IN_HEADER,
  INIT_IN,
  INIT_IN_COMPAT_BYTES,
  INIT_OUT,
  INIT_OUT_COMPAT_22_BYTES,
  OUT_HEADER,
} from './abi-structs.ts';

const PAGE_BYTES = 4096;
/** With MAX_PAGES: 1 MiB, the most that kernels allow unless a sysctl says more. */
const MAX_PAGES = 256;
/** Without it the kernel's own limit stands. */
const MAX_PAGES_COMPAT = 32;
/** Requests that the kernel queues ahead on its own (readahead), and where it holds back. */
const MAX_BACKGROUND = 12;
const CONGESTION_THRESHOLD = 9;

/**
 * Not asked for, on purpose:
 * - ATOMIC_O_TRUNC: O_TRUNC then comes as SETATTR of size 0, which is refused like any other.
 * - WRITEBACK_CACHE: it would give the kernel the say over sizes and times.
 * - NO_OPEN_SUPPORT, NO_OPENDIR_SUPPORT: each open is where a node looks at the log again.
 */
const WANTED =
  INIT_FLAG.ASYNC_READ |
  INIT_FLAG.BIG_WRITES |
  INIT_FLAG.DO_READDIRPLUS |
  INIT_FLAG.READDIRPLUS_AUTO |
  INIT_FLAG.ASYNC_DIO |
  INIT_FLAG.PARALLEL_DIROPS |
  INIT_FLAG.MAX_PAGES |
  INIT_FLAG.INIT_EXT;

/**
 * What both sides agreed on, once per mount: it is handed, as JSON, from the keeper to each server
 * of the mount, since the kernel says INIT only once.
 */
export interface Negotiated {
  /** The lower of both sides' minor version. */
  readonly minor: number;
  /** INIT flags in force: offered and asked for. */
  readonly flags: number;
  readonly flags2: number;
  /** What the kernel offered, for diagnosis. */
  readonly kernelMinor: number;
  readonly offeredFlags: number;
  readonly offeredFlags2: number;
  readonly maxReadaheadBytes: number;
  readonly maxWriteBytes: number;
  /** FUSE_NOTIFY_RESEND works: a successor can ask for what its predecessor had read. */
  readonly canResend: boolean;
  /** FUSE_DAX_FMAP was asked for and offered, which alone does not prove famfs: see the probe. */
  readonly daxFmap: boolean;
}

export interface NegotiateOptions {
  /** Ask for FUSE_DAX_FMAP (bit 43) where it is offered. Default false. */
  readonly requestDaxFmap?: boolean;
}

/**
 * Answers the kernel's INIT, the first message of a mount; `reply` is all there is to send. Faults:
 * UNSUPPORTED: a protocol other than 7.12 or later; INVALID: not an INIT.
 */
export function negotiate(
  request: Uint8Array,
  options: NegotiateOptions = {},
): { reply: Uint8Array; negotiated: Negotiated } {
  const view = initView(request);
  const body = IN_HEADER.size;
  const major = view.getUint32(body + INIT_IN.major, true);
  const kernelMinor = view.getUint32(body + INIT_IN.minor, true);
  if (major !== FUSE_MAJOR || kernelMinor < FUSE_MINOR_OLDEST) {
    throw new Fault(
      'UNSUPPORTED',
      `INIT: found FUSE protocol ${major}.${kernelMinor}, ` +
        `expected ${FUSE_MAJOR}.${FUSE_MINOR_OLDEST} or later of ${FUSE_MAJOR}; use another kernel`,
    );
  }
  const offeredFlags = view.getUint32(body + INIT_IN.flags, true);
  const isExtended =
    (offeredFlags & INIT_FLAG.INIT_EXT) !== 0 && request.length >= body + INIT_IN.unused;
  const offeredFlags2 = isExtended ? view.getUint32(body + INIT_IN.flags2, true) : 0;
  const wanted2 = INIT_FLAG2.HAS_RESEND | (options.requestDaxFmap ? INIT_FLAG2.DAX_FMAP : 0);
  const flags = offeredFlags & WANTED;
  const flags2 = offeredFlags2 & wanted2;
  const maxPages = flags & INIT_FLAG.MAX_PAGES ? MAX_PAGES : MAX_PAGES_COMPAT;
  const negotiated: Negotiated = {
    minor: Math.min(kernelMinor, FUSE_MINOR),
    flags,
    flags2,
    kernelMinor,
    offeredFlags,
    offeredFlags2,
    maxReadaheadBytes: view.getUint32(body + INIT_IN.maxReadahead, true),
    maxWriteBytes: maxPages * PAGE_BYTES,
    canResend: (flags2 & INIT_FLAG2.HAS_RESEND) !== 0,
    daxFmap: (flags2 & INIT_FLAG2.DAX_FMAP) !== 0,
  };
  return { reply: encodeReply(view, negotiated), negotiated };
}

/**
 * Length of the buffer that every request fits in, in bytes; the kernel refuses to fill one that
 * is smaller than `maxWriteBytes` and two headers.
 */
export function requestBufferBytes(negotiated: Negotiated): number {
  return negotiated.maxWriteBytes + PAGE_BYTES;
}

function initView(request: Uint8Array): DataView {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
  const isInit =
    request.length >= IN_HEADER.size + INIT_IN_COMPAT_BYTES &&
    view.getUint32(IN_HEADER.len, true) === request.length &&
    view.getUint32(IN_HEADER.opcode, true) === OPCODE.INIT;
  if (isInit) return view;
  throw new Fault(
    'INVALID',
    `INIT: found another message of ${request.length} bytes, expected it first on a new mount`,
  );
}

function encodeReply(request: DataView, negotiated: Negotiated): Uint8Array {
  const payloadBytes = negotiated.minor < 23 ? INIT_OUT_COMPAT_22_BYTES : INIT_OUT.size;
  const reply = new Uint8Array(OUT_HEADER.size + INIT_OUT.size);
  const view = new DataView(reply.buffer);
  view.setUint32(OUT_HEADER.len, OUT_HEADER.size + payloadBytes, true);
  const unique = request.getBigUint64(IN_HEADER.unique, true);
  view.setBigUint64(OUT_HEADER.unique, unique, true);
  const body = OUT_HEADER.size;
  view.setUint32(body + INIT_OUT.major, FUSE_MAJOR, true);
  view.setUint32(body + INIT_OUT.minor, negotiated.minor, true);
  view.setUint32(body + INIT_OUT.maxReadahead, negotiated.maxReadaheadBytes, true);
  view.setUint32(body + INIT_OUT.flags, negotiated.flags, true);
  view.setUint16(body + INIT_OUT.maxBackground, MAX_BACKGROUND, true);
  view.setUint16(body + INIT_OUT.congestionThreshold, CONGESTION_THRESHOLD, true);
  view.setUint32(body + INIT_OUT.maxWrite, negotiated.maxWriteBytes, true);
  view.setUint32(body + INIT_OUT.timeGran, 1, true);
  view.setUint16(body + INIT_OUT.maxPages, negotiated.maxWriteBytes / PAGE_BYTES, true);
  view.setUint32(body + INIT_OUT.flags2, negotiated.flags2, true);
  return reply.subarray(0, OUT_HEADER.size + payloadBytes);
}
