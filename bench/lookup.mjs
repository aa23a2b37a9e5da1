import { FamfsFileSystem } from '../dist/fs/famfs-file-system.js';
import { OPCODE } from '../dist/fuse/abi-constants.js';
import { IN_HEADER } from '../dist/fuse/abi-structs.js';
import { Responder } from '../dist/fuse/responder.js';
import { withFilledPool } from './fixtures.mjs';
import { pseudoRandom, timedEach } from './report.mjs';

const REQUESTS = 20_000;
const GETATTR_BODY_BYTES = 16;
const OUT_HEADER_ERROR = 4;
const REFERENCE_LOOKUP = { 1000: '36 µs', 15000: '172 µs', 25000: '367 µs' };
const COUNTS = [1_000, 15_000, 25_000, 500_000];

/** Requests as the kernel writes them, for files picked at random, through `Responder.answer`. */
export async function run(report) {
  for (const count of COUNTS) {
    await withFilledPool(count, {}, (device) => measure(report, device, count));
  }
  const last = label(COUNTS.at(-1));
  for (const what of ['lookup', 'getattr']) {
    report.addRatio(
      `${what}: ${last} to 1,000`,
      `${what}, ${last} files`,
      `${what}, 1,000 files`,
      what === 'lookup' ? { target: 1.5 } : {},
    );
  }
}

function measure(report, device, count) {
  const files = new FamfsFileSystem({ name: 'bench', device, writable: false }, fail);
  const responder = new Responder(files, { malformed: fail, failed: fail });
  const nodes = [...files.pool.replica.namespace.files()];
  const random = pseudoRandom(count);
  const picked = Array.from({ length: REQUESTS }, () => nodes[Math.floor(random() * nodes.length)]);
  const lookups = picked.map(({ parent, name }) => message(OPCODE.LOOKUP, parent.ino, name));
  const getattrs = picked.map(({ ino }) => message(OPCODE.GETATTR, ino));
  const misses = picked.map(({ parent }) => message(OPCODE.LOOKUP, parent.ino, 'not there'));
  const limits = { target: 4, reference: REFERENCE_LOOKUP[count] };
  const getattrLimits = { reference: '24–45 µs' };
  // The first round is warming up; the kernel, too, asks a server more than 20,000 times.
  for (let round = 0; round < 4; round++) {
    const lookup = timedEach(REQUESTS, () => answerAll(responder, lookups, 0));
    const getattr = timedEach(REQUESTS, () => answerAll(responder, getattrs, 0));
    const miss = timedEach(REQUESTS, () => answerAll(responder, misses, -2));
    if (round === 0) continue;
    report.add(`lookup, ${label(count)} files`, 'µs', lookup, limits);
    report.add(`getattr, ${label(count)} files`, 'µs', getattr, getattrLimits);
    report.add(`lookup of a name that is not there, ${label(count)} files`, 'µs', miss);
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
