import { closeSync, openSync, writeSync } from 'node:fs';
import { posix } from 'node:path';

const DIRECTORY = 0o040755;
const FILE = 0o100000;
const TRAILER = 'TRAILER!!!';

/**
 * Writes an archive that Linux unpacks as its first root file system: cpio, format "newc" (kernel
 * Documentation/driver-api/early-userspace/buffer-format.rst). Folders are made as needed.
 */
export class CpioWriter implements Disposable {
  readonly #fd: number;
  readonly #folders = new Set<string>(['.', '']);
  #ino = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  folder(path: string): void {
    if (this.#folders.has(path)) return;
    this.folder(posix.dirname(path));
    this.#folders.add(path);
    this.#entry(path, DIRECTORY, new Uint8Array());
  }

  /** `path` without a slash at its front; `mode` are permission bits. */
  file(path: string, bytes: Uint8Array, mode = 0o644): void {
    this.folder(posix.dirname(path));
    this.#entry(path, FILE | mode, bytes);
  }

  [Symbol.dispose](): void {
    this.#entry(TRAILER, 0, new Uint8Array());
    closeSync(this.#fd);
  }

  #entry(path: string, mode: number, bytes: Uint8Array): void {
    const name = Buffer.from(`${path}\0`);
    // ino, mode, uid, gid, nlink, mtime, filesize, device ×2, rdev ×2, namesize, check
    const fields = [++this.#ino, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
    const hex = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
    this.#write(Buffer.concat([Buffer.from(`070701${hex}`), name]));
    this.#write(bytes);
  }

  /** Every part ends at a multiple of four bytes; a header's first byte is at one, too. */
  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    writeSync(this.#fd, new Uint8Array((4 - (bytes.length % 4)) % 4));
  }
}
