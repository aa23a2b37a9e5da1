import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HEADER_BYTES, LOG_START, type LogImage, SLOT_BYTES } from './media.ts';

/** The longest device that is made as a file: what is longer cannot be mapped anyhow. */
export const DEVICE_BYTES_MAX = 2 ** 44;

let device: string | undefined;

/** The image as a sparse file in memory, one for all cases; the run's parent removes its folder. */
export function deviceFile(image: LogImage): string {
  const folder = process.env.FAMFS_FUZZ_FOLDER;
  if (folder === undefined) throw new Error('FAMFS_FUZZ_FOLDER: not set, where may files go?');
  device ??= join(folder, `device-${process.pid}`);
  const fd = openSync(device, 'w', 0o600);
  try {
    const parts: [Uint8Array, number][] = [
      [image.superblock, 0],
      [image.header, LOG_START],
      [Buffer.concat(image.entries), LOG_START + HEADER_BYTES],
    ];
    for (const [bytes, offset] of parts) writeSync(fd, bytes, 0, bytes.length, offset);
    ftruncateSync(fd, image.memoryBytes);
  } finally {
    closeSync(fd);
  }
  return device;
}

/** Whether the image is one that a file can hold. */
export function fitsFile({ memoryBytes, entries }: LogImage): boolean {
  const end = LOG_START + HEADER_BYTES + entries.length * SLOT_BYTES;
  return memoryBytes >= end && memoryBytes <= DEVICE_BYTES_MAX;
}
