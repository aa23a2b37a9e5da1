import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { LOG_HEADER_BYTES, LOG_OFFSET } from '../../src/format/log-header.ts';
import { HeapMemory } from './heap-memory.ts';

export interface VectorExtent {
  readonly devindex: number;
  readonly offset: number;
  readonly len: number;
}

/** An entry as an independent decoder read it; which fields there are depends on its type. */
export interface VectorEntry {
  readonly index: number;
  readonly seqnum: number;
  readonly type: string | number;
  readonly crc: number;
  readonly crc_ok: boolean;
  readonly path: string;
  readonly size: number;
  readonly flags: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: string;
  readonly ext_type: 'simple' | 'interleave';
  readonly extents: readonly VectorExtent[];
  readonly chunk_size: number;
  readonly strips: readonly VectorExtent[];
  readonly dd_size: number;
  readonly dd_uuid: string;
  readonly dd_index: number;
}

/** `NAME.json` of ../shared/vectors/omf; its README tells the format. */
export interface VectorFacts {
  readonly device_size: number;
  readonly superblock: {
    readonly version: number;
    readonly log_offset: number;
    readonly log_len: number;
    readonly alloc_unit: number;
    readonly omf_major: number;
    readonly omf_minor: number;
    readonly fs_uuid: string;
    readonly dev_uuid: string;
    readonly system_uuid: string;
    readonly crc: number;
    readonly flags: number;
    readonly daxdev_size: number;
    readonly daxdev_name: string;
  };
  readonly log: {
    readonly len: number;
    readonly last_index: number;
    readonly crc: number;
    readonly next_seqnum: number;
    readonly next_index: number;
  };
  readonly entries: readonly VectorEntry[];
}

/** Test data of other implementations: ../shared/vectors beside the repository. */
function vectorsFolder(): string {
  const folder = process.env.FAMFS_VECTORS ?? join(__dirname, '../../../shared/vectors');
  if (!existsSync(join(folder, 'omf'))) {
    throw new Error(
      `${folder}/omf: no test vectors; set FAMFS_VECTORS to the folder that has them`,
    );
  }
  return folder;
}

export function imageNames(): string[] {
  const ending = '.img.gz';
  return readdirSync(join(vectorsFolder(), 'omf'))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length));
}

/** The first 10 MiB of the device. */
export function readImage(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(vectorsFolder(), 'omf', `${name}.img.gz`))));
}

export function readFacts(name: string): VectorFacts {
  const path = join(vectorsFolder(), 'omf', `${name}.json`);
  const text = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  return JSON.parse(text.toString('utf8'));
}

export function imageMemory(name: string): HeapMemory {
  return new HeapMemory(readFacts(name).device_size, readImage(name));
}

/** The 544 bytes of a slot of an image's log. */
export function slotOf(image: Uint8Array, index: number): Uint8Array {
  const offset = LOG_OFFSET + LOG_HEADER_BYTES + index * 544;
  return image.subarray(offset, offset + 544);
}

/** An image as a sparse file of the device's size, in a folder that goes with it. */
export class ImageFile implements Disposable {
  readonly path: string;
  readonly #folder: string;

  constructor(name: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'famfs-image-'));
    this.path = join(this.#folder, name);
    const fd = openSync(this.path, 'wx');
    try {
      writeSync(fd, readImage(name));
      ftruncateSync(fd, readFacts(name).device_size);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
