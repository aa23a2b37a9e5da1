import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, gunzipSync } from 'node:zlib';
import { expect } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { encodeLogEntry, type NewEntry } from '../../src/format/log-entry.ts';
import type { SharedMemory } from '../../src/native/shared-memory.ts';
import { hostIdentity } from '../../src/pool/identity.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import type { LogWriter } from '../../src/pool/log-writer.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import type { Remnant } from '../../src/pool/recovery.ts';
import { writerOf } from '../support/log-writer.ts';

const LOG = 2 * MiB;
const LINE_BYTES = 64;
const ENTRY_BYTES = 544;

/** Who wrote the images of ../shared/vectors/omf. */
export const VECTOR_MASTER = '5f5e5d5c-1111-4222-8333-0123456789ab';
export const MASTER = '00000000-0000-4000-8000-00000000aaaa';
export const OWNER = { uid: 0, gid: 0, mode: 0o755 };

/**
 * Superblock and log of a device in the heap. Its power can be cut at any store; of the `write`
 * that is under way then, any choice of 64-byte lines may have reached the memory.
 */
export class LogMemory implements SharedMemory {
  readonly lengthBytes: number;
  readonly bytes: Uint8Array;
  stores = 0;
  #storesLeft = Number.POSITIVE_INFINITY;
  #reachesMemory: (line: number) => boolean = () => false;

  constructor(bytes: Uint8Array, lengthBytes = 8 * GiB) {
    this.bytes = bytes;
    this.lengthBytes = lengthBytes;
  }

  /** The first 10 MiB of a device of ../shared/vectors/omf, which has 8 GiB unless told. */
  static image(name: string, lengthBytes?: number): LogMemory {
    const bytes = images.get(name) ?? readImage(name);
    images.set(name, bytes);
    return new LogMemory(bytes.slice(), lengthBytes);
  }

  /** A pool with these entries, as a writer appends them. */
  static of(entries: readonly NewEntry[]): LogMemory {
    const memory = new LogMemory(new Uint8Array(LOG + MiB)); // as much of the log as is looked at
    mkfs(memory, { deviceName: 'test', systemUuid: MASTER });
    entries.forEach((entry, index) => {
      memory.bytes.set(encodeLogEntry(index, entry), slotOffset(index));
    });
    memory.setWords(entries.length, entries.length);
    memory.stores = 0;
    return memory;
  }

  copy(): LogMemory {
    return new LogMemory(this.bytes.slice(), this.lengthBytes);
  }

  /** The power fails after so many stores. */
  dieAfter(stores: number, reachesMemory: (line: number) => boolean = () => false): void {
    this.#storesLeft = stores;
    this.#reachesMemory = reachesMemory;
  }

  /** Power is back; the bytes are what they are. */
  revive(): void {
    this.dieAfter(Number.POSITIVE_INFINITY);
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    expect(offset + lengthBytes).toBeLessThanOrEqual(this.bytes.length);
    return this.bytes.slice(offset, offset + lengthBytes);
  }

  write(offset: number, bytes: Uint8Array): void {
    if (this.#storesLeft === 0) {
      for (let at = 0; at < bytes.length; at++) {
        const line = Math.floor((offset + at) / LINE_BYTES) - Math.floor(offset / LINE_BYTES);
        if (this.#reachesMemory(line)) this.bytes[offset + at] = bytes[at] ?? 0;
      }
      this.#reachesMemory = () => false;
    }
    this.#spend();
    this.bytes.set(bytes, offset);
  }

  /** The heap has one host. */
  flush(): void {}

  publish(offset: number, value: bigint): void {
    this.#spend();
    this.#view().setBigUint64(offset, value, true);
  }

  [Symbol.dispose](): void {}

  slot(index: number): Uint8Array {
    return this.bytes.subarray(slotOffset(index), slotOffset(index) + ENTRY_BYTES);
  }

  /** Changes a byte of an entry, whose crc then is wrong. */
  flip(index: number, offset: number, mask = 0x40): void {
    const slot = this.slot(index);
    slot[offset] = (slot[offset] ?? 0) ^ mask;
  }

  setWords(nextSeqnum: number, nextIndex: number): void {
    this.#view().setBigUint64(LOG + 32, BigInt(nextSeqnum), true);
    this.#view().setBigUint64(LOG + 40, BigInt(nextIndex), true);
  }

  /** [next_seqnum, next_index] */
  words(): [number, number] {
    const view = this.#view();
    return [Number(view.getBigUint64(LOG + 32, true)), Number(view.getBigUint64(LOG + 40, true))];
  }

  /** A writer that starts now, without a lock among processes, and what it recovers. */
  writer(mayWrite: () => void = () => {}): { writer: LogWriter; found: Remnant[] } {
    const found: Remnant[] = [];
    const onRecovery = (one: Remnant) => void found.push(one);
    return {
      writer: writerOf(new LogFollower(this), { host: hostIdentity(), mayWrite, onRecovery }),
      found,
    };
  }

  /** Paths of all nodes that a reader sees who opens the log now. */
  paths(): string[] {
    const paths: string[] = [];
    const { root } = new LogFollower(this).replica.namespace;
    for (const stack = [root]; stack.length > 0; ) {
      for (const node of stack.pop()?.children() ?? []) {
        paths.push(node.path);
        if (node.kind === 'directory') stack.push(node);
      }
    }
    return paths.sort();
  }

  #view(): DataView {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset);
  }

  #spend(): void {
    if (this.#storesLeft === 0) throw new Fault('MEMORY_ERROR', 'power lost');
    this.#storesLeft -= 1;
    this.stores += 1;
  }
}

const images = new Map<string, Uint8Array>();

function readImage(name: string): Uint8Array {
  const folder = process.env.FAMFS_VECTORS ?? join(__dirname, '../../../shared/vectors');
  const path = join(folder, 'omf', `${name}.img.gz`);
  if (!existsSync(path)) throw new Error(`${path}: no test vector; set FAMFS_VECTORS`);
  return new Uint8Array(gunzipSync(readFileSync(path)));
}

export function slotOffset(index: number): number {
  return LOG + 48 + index * ENTRY_BYTES;
}

/** Appends one directory at the root. */
export function appendDirectory(writer: LogWriter, path: string): Promise<number> {
  return writer.append((replica) => ({
    entries: [{ type: 'mkdir', path, ...OWNER }],
    result: replica.position,
  }));
}

export function file(path: string, offset: number, sizeBytes = 2 * MiB): NewEntry {
  const lengthBytes = Math.ceil(sizeBytes / (2 * MiB)) * 2 * MiB;
  const fmap = { type: 'simple', extents: [{ devindex: 0, offset, lengthBytes }] } as const;
  return { type: 'file', path, sizeBytes, flags: 2, ...OWNER, fmap };
}

export function directory(path: string): NewEntry {
  return { type: 'mkdir', path, ...OWNER };
}

/**
 * What every reader of the format demands, the reference's too, read with nothing of src/: header
 * and entries whole, each entry's number its index, and no byte of memory named twice, outside the
 * device, or in superblock or log.
 */
export function expectReferenceRules(memory: LogMemory): void {
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset);
  const u64 = (offset: number) => Number(view.getBigUint64(offset, true));
  expect(view.getBigUint64(LOG, true)).toBe(0xbadcafef00dn);
  expect(u64(LOG + 8)).toBe(u64(24));
  expect(u64(LOG + 16)).toBe(Math.floor((u64(24) - 48) / ENTRY_BYTES) - 1);
  expect(u64(LOG + 24)).toBe(crc32(memory.bytes.subarray(LOG, LOG + 24)));
  const [nextSeqnum, nextIndex] = memory.words();
  expect(nextSeqnum).toBe(nextIndex);
  const used: [number, number][] = [[0, LOG + u64(24)]];
  for (let index = 0; index < nextIndex; index++) {
    const at = slotOffset(index);
    expect([index, u64(at)]).toEqual([index, index]);
    const crc = crc32(memory.bytes.subarray(at, at + 536));
    expect([index, u64(at + 536)]).toEqual([index, crc]);
    if (view.getUint32(at + 8, true) !== 0) continue;
    const isSimple = view.getUint32(at + 120, true) === 0;
    const count = isSimple ? view.getUint32(at + 128, true) : u64(at + 136);
    for (let extent = 0; extent < count; extent++) {
      const base = at + (isSimple ? 136 : 152) + extent * 24;
      if (u64(base) === 0) used.push([u64(base + 8), u64(base + 8) + u64(base + 16)]);
    }
  }
  used.sort(([a], [b]) => a - b);
  used.forEach(([start, end], at) => {
    expect(end).toBeLessThanOrEqual(used[at + 1]?.[0] ?? memory.lengthBytes);
    expect(start).toBeLessThan(end);
  });
}

/** `CODE: text` of what `run` throws. */
export function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { code, message } = error as Fault;
    return `${code}: ${message}`;
  }
  throw new Error('nothing was thrown');
}
