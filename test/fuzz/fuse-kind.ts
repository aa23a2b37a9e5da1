import { OPCODE } from '../../src/fuse/abi-constants.ts';
import { negotiate } from '../../src/fuse/init.ts';
import { message } from '../fuse/messages.ts';
import { FILE_INO, OTHER_INO, served } from '../fuse/served.ts';
import { readTranscript } from '../fuse/transcript.ts';
import { checkReply } from './fuse-wire.ts';
import { type AnyKind, anyKind, hexRuns, simplerBytes } from './kind.ts';
import { viewOf } from './media.ts';
import type { Random } from './random.ts';
import { foreseen, mustEqual, type Tally } from './tally.ts';
import { flipSome, oddU32, oddU64, spoilField } from './words.ts';

const TRANSCRIPTS = ['pull.txt', 'push.txt', 'push2.txt', 'stock-bit43.txt'];
const INODES = [0, 1, FILE_INO, OTHER_INO, 99];
const OPCODE_NAMES = new Map<number, string>(
  Object.entries(OPCODE).map(([name, opcode]) => [opcode, name]),
);

let loaded: readonly Uint8Array[] | undefined;

/** Every message that kernels really sent. */
function recorded(): readonly Uint8Array[] {
  loaded ??= TRANSCRIPTS.flatMap((name) =>
    readTranscript(name).flatMap((e) => (e.kind === 'request' ? [e.bytes] : [])),
  );
  return loaded;
}

function requestBytes(random: Random): Uint8Array {
  const make = random.weighted<() => Uint8Array>([
    [1, () => random.bytes(random.below(300))],
    [4, () => framed(random)],
    [4, () => mutated(random)],
    [1, () => oddInit(random)],
    [1, () => oddWrite(random)],
  ]);
  return make();
}

/** A right header before a body of odd words and bytes. */
function framed(random: Random): Uint8Array {
  const opcode = random.oneIn(6) ? random.below(80) : random.pick(Object.values(OPCODE));
  const body = new Uint8Array(random.oneIn(2) ? 8 * random.below(20) : random.below(160));
  const view = viewOf(body);
  for (let at = 0; at + 8 <= body.length; at += random.pick([4, 8])) {
    if (random.oneIn(2)) view.setBigUint64(at, oddU64(random, 0n), true);
    else view.setUint32(at, oddU32(random, 0), true);
  }
  if (random.oneIn(3)) body.set(random.bytes(random.below(body.length + 1)));
  if (random.oneIn(2) && body.length > 0) body[body.length - 1] = 0;
  return message(opcode, random.pick(INODES), body, random.below(2 ** 53));
}

/** A recorded message, some of it changed; mostly the length in its header is right afterwards. */
function mutated(random: Random): Uint8Array {
  let bytes = random.pick(recorded()).slice();
  const change = random.weighted<() => void>([
    [3, () => flipSome(random, bytes)],
    [3, () => spoilField(random, bytes, [4 * random.below(Math.ceil(bytes.length / 4) - 1), 4])],
    [2, () => spoilField(random, bytes, random.pick([[0, 4] as const, [4, 4], [8, 8], [16, 8]]))],
    [1, () => viewOf(bytes).setUint16(36, random.pick([1, 2, 0x7fff, 0xffff]), true)],
    [2, () => viewOf(bytes).setBigUint64(16, BigInt(random.pick(INODES)), true)],
  ]);
  for (let left = random.below(3); left > 0; left--) change();
  if (random.oneIn(4)) bytes = bytes.slice(0, random.below(bytes.length));
  if (random.oneIn(8)) bytes = new Uint8Array(Buffer.concat([bytes, random.bytes(24)]));
  if (bytes.length >= 4 && !random.oneIn(5)) viewOf(bytes).setUint32(0, bytes.length, true);
  return bytes;
}

/** An INIT that offers whatever: major, minor, flags and flags2 are the words that count. */
function oddInit(random: Random): Uint8Array {
  const inits = recorded().filter((bytes) => viewOf(bytes).getUint32(4, true) === OPCODE.INIT);
  const bytes = random.pick(inits).slice();
  for (let left = random.between(1, 3); left > 0; left--) {
    spoilField(random, bytes, random.pick([[40, 4] as const, [44, 4], [52, 4], [52, 4], [56, 4]]));
  }
  return bytes;
}

/** A WRITE whose data are about as long as it says. */
function oddWrite(random: Random): Uint8Array {
  const data = random.bytes(random.below(64));
  const body = new Uint8Array(40 + data.length);
  const view = viewOf(body);
  view.setBigUint64(8, random.oneIn(4) ? oddU64(random, 0n) : BigInt(random.below(6000)), true);
  view.setUint32(16, random.oneIn(2) ? data.length : oddU32(random, data.length), true);
  body.set(data, 40);
  return message(OPCODE.WRITE, random.pick(INODES), body);
}

function answer(request: Uint8Array, _: Random, tally: Tally): void {
  const { answer, failures } = served();
  const reply = answer(request);
  checkReply(request, reply);
  mustEqual(failures.length, 0, 'handlers that threw');
  if (request.length >= 40) {
    const opcode = viewOf(request).getUint32(4, true);
    const error = reply === undefined ? 'no reply' : String(viewOf(reply).getInt32(4, true));
    const isKnown = error === 'no reply' || error === '0';
    const name = OPCODE_NAMES.get(opcode) ?? 'unknown opcode';
    if (opcode === OPCODE.WRITE && reply !== undefined && error === '0') {
      checkWrite(request, viewOf(reply).getUint32(16, true));
    }
    tally.count('fuse', isKnown ? `${name} ${error}` : `${name} error`);
  }
  agree(request, tally);
}

/** All that the request says it has, which is all that it has. */
function checkWrite(request: Uint8Array, written: number): void {
  const view = viewOf(request);
  const extensionBytes = 8 * view.getUint16(36, true);
  mustEqual(written, view.getUint32(56, true), 'bytes written');
  mustEqual(written, request.length - 80 - extensionBytes, 'bytes of data');
}

/** The same bytes as the first message of a mount. */
function agree(request: Uint8Array, tally: Tally): void {
  try {
    const { reply, negotiated } = negotiate(request, { requestDaxFmap: true });
    mustEqual(viewOf(reply).getUint32(0, true), reply.length, 'length of the INIT reply');
    mustEqual(negotiated.flags & ~negotiated.offeredFlags, 0, 'flags that were not offered');
    tally.count('init', 'agreed');
  } catch (error) {
    const fault = foreseen(error);
    tally.count('init', fault.code);
  }
}

export const FUSE_KIND: AnyKind = anyKind<Uint8Array>({
  name: 'FUSE request',
  weight: 15,
  generate: requestBytes,
  run: answer,
  shrink: (bytes) => simplerBytes(bytes, true),
  show: (bytes) => [`request: ${hexRuns(bytes)}`],
});
