import { imageNames, readFacts, readImage } from '../support/vectors.ts';
import type { Beginning } from './author.ts';
import {
  HEADER,
  HEADER_BYTES,
  LOG_START,
  type LogImage,
  SLOT_BYTES,
  SUPERBLOCK_BYTES,
  viewOf,
} from './media.ts';
import { Model } from './model.ts';

export interface VectorImage {
  readonly name: string;
  readonly image: LogImage;
  /** How to go on with its log; undefined where it cannot be opened, is damaged or is full. */
  readonly beginning: Beginning | undefined;
}

let loaded: readonly VectorImage[] | undefined;

/** Every vector of other implementations, without the zeros, read once. */
export function vectorImages(): readonly VectorImage[] {
  loaded ??= imageNames().map((name) => {
    const image = cut(readImage(name), readFacts(name).device_size);
    return { name, image, beginning: beginningOf(Model.of(image)) };
  });
  return loaded;
}

function cut(bytes: Uint8Array, memoryBytes: number): LogImage {
  const header = bytes.slice(LOG_START, LOG_START + HEADER_BYTES);
  const first = LOG_START + HEADER_BYTES;
  const room = Math.floor((bytes.length - first) / SLOT_BYTES);
  const next = viewOf(header).getBigUint64(HEADER.nextIndex[0], true);
  const isUsed = (at: number) => {
    const slot = bytes.subarray(first + at * SLOT_BYTES, first + (at + 1) * SLOT_BYTES);
    return slot.some((byte) => byte !== 0);
  };
  let count = next < BigInt(room) ? Number(next) : 0;
  while (count < room && isUsed(count)) count++;
  const slots = bytes.slice(first, first + count * SLOT_BYTES);
  return {
    superblock: bytes.slice(0, SUPERBLOCK_BYTES),
    header,
    entries: Array.from({ length: count }, (_, at) =>
      slots.subarray(at * SLOT_BYTES, (at + 1) * SLOT_BYTES),
    ),
    memoryBytes,
  };
}

export function beginningOf(model: Model | undefined): Beginning | undefined {
  if (model === undefined || model.damaged || model.position === model.capacity) return undefined;
  const named = (kind: 'file' | 'directory') =>
    [...model.nodes]
      .filter(([, node]) => node.kind === kind)
      .map(([path, { index }]) => ({ path, index }));
  return {
    unitBytes: model.unitBytes,
    directories: named('directory'),
    files: named('file'),
    devices: model.devices.map(({ start, sizeBytes, used }) => ({
      from: used.ends.at(-1) ?? start,
      sizeBytes,
    })),
    nextIndex: model.position,
  };
}
