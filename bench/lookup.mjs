import { FamfsFileSystem } from '../dist/fs/famfs-file-system.js';
import { OPCODE } from '../dist/fuse/abi-constants.js';
import { IN_HEADER } from '../dist/fuse/abi-structs.js';
import { Responder } from '../dist/fuse/responder.js';
import { withFilledPool } from './fixtures.mjs';
import { pseudoRandom, Report, timedEach } from './report.mjs';

const REQUESTS = 20_000;
const ROUNDS = 4;
const GETATTR_BODY_BYTES = 16;
const OUT_HEADER_ERROR = 4;
const REFERENCE_LOOKUP = { 1000: '36 µs', 15000: '172 µs', 25000: '367 µs' };
const COUNTS = [1_000, 15_000, 25_000, 500_000];

/**
 * Requests as the kernel writes them, through `Responder.answer`: for files picked at random, and
 * for files one after the other, as programs that walk a tree ask.
 */
export async function run(report) {
  await withFilledPool(COUNTS[0], {}, (device) => measure(new Report(), device, COUNTS[0]));
  for (const count of COUNTS) {
    await withFilledPool(count, {}, (device) => measure(report, device, count));
  }
  const [first, last] = [COUNTS.at(0), COUNTS.at(-1)].map(label);
  for (const [what, limits] of [
    ['lookup at random', { target: 1.5 }],
    ['lookup in order', { target: 1.5 }],
    ['getattr at random', {}],
  ]) {
    const rows = [`${what}, ${last} files`, `${what}, ${first} files`];
    report.addRatio(`${what}: ${last} to ${first}`, ...rows, limits);
  }
}

function measure(report, device, count) {
  const files = new FamfsFileSystem({ name: 'bench', device, writable: false }, fail);
  const responder = new Responder(files, { malformed: fail, failed: fail });
  const nodes = [...files.pool.replica.namespace.files()];
  const random = pseudoRandom(count);
  const picked = Array.from({ length: REQUESTS }, () => nodes[Math.floor(random() * nodes.length)]);
  const inOrder = picked.map((_, at) => nodes[at % nodes.length]);
  const lookupOf = ({ parent, name }) => message(OPCODE.LOOKUP, parent.ino, name);
  const limits = { target: 4, reference: REFERENCE_LOOKUP[count] };
  const loads = [
    ['lookup at random', picked.map(lookupOf), 0, limits],
    ['lookup in order', inOrder.map(lookupOf), 0, limits],
    ['lookup in vain', picked.map(({ parent }) => lookupOf({ parent, name: 'none' })), -2, {}],
    [
      'getattr at random',
      picked.map(({ ino }) => message(OPCODE.GETATTR, ino)),
      0,
      { reference: '24–45 µs' },
    ],
  ];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [what, requests, error, options] of loads) {
      const took = timedEach(REQUESTS, () => answerAll(responder, requests, error));
      // The first round is warming up; the kernel, too, asks a server more than 20,000 times.
      if (round > 0) report.add(`${what}, ${label(count)} files`, 'µs', took, options);
    }
  }
  files[Symbol.dispose]();
}

function answerAll(responder, requests, expectedError) {
  for (const request of requests) {
    const { head } = responder.answer(request);
    const error = head[OUT_HEADER_ERROR] | (head[OUT_HEADER_ERROR + 3] << 24);
    const wanted = expectedError === 0 ? 0 : (expectedError & 0xff) | (0xff << 24);
    if (error !== wanted) throw new Error(`lookup: answered with error ${error}`);
  }
}

let unique = 0;

function message(opcode, nodeid, name) {
  const text = name === undefined ? Buffer.alloc(GETATTR_BODY_BYTES) : Buffer.from(`${name}\0`);
  const bytes = new Uint8Array(IN_HEADER.size + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(IN_HEADER.len, bytes.length, true);
  view.setUint32(IN_HEADER.opcode, opcode, true);
  view.setBigUint64(IN_HEADER.unique, BigInt(++unique * 2), true);
  view.setBigUint64(IN_HEADER.nodeid, BigInt(nodeid), true);
  bytes.set(text, IN_HEADER.size);
  return bytes;
}

function label(count) {
  return count.toLocaleString('en');
}

function fail(problem) {
  throw new Error(`lookup: ${problem}`);
}
