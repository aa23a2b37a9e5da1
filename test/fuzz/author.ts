import {
  DAXDEV,
  DELETE,
  ENTRY,
  EXTENT_BYTES,
  FILE,
  LOG_START,
  MKDIR,
  SLOT_BYTES,
  sealEntry,
  setHalf,
  setWord,
  TYPE,
  UNIT_BYTES,
  viewOf,
} from './media.ts';
import { oddPathField, pathField, plainName } from './paths.ts';
import type { Random } from './random.ts';
import { type FieldAt, flipSome, oddU32, oddU64, spoilField } from './words.ts';

interface Place {
  readonly devindex: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

interface Named {
  readonly path: string;
  readonly index: number;
}

/** What a log holds already when an author goes on with it. */
export interface Beginning {
  readonly unitBytes: number;
  readonly directories: readonly Named[];
  readonly files: readonly Named[];
  /** Of each device: where its free memory begins, and its size. */
  readonly devices: readonly { readonly from: number; readonly sizeBytes: number }[];
  readonly nextIndex: number;
}

export function emptyPool(unitBytes: number, logBytes: number, deviceBytes: number): Beginning {
  const devices = [{ from: LOG_START + logBytes, sizeBytes: deviceBytes }];
  return { unitBytes, directories: [], files: [], devices, nextIndex: 0 };
}

/**
 * Writes the entries of a log, one after the other: honest ones that build up a pool, among them
 * some that are wrong in one respect, with a valid checksum. It remembers what it meant to make, so
 * that deletes find their target and files their directory often enough to get deep.
 */
export class Author {
  readonly entries: Uint8Array[] = [];
  readonly #random: Random;
  readonly #unit: number;
  readonly #directories: Named[];
  readonly #files: Named[];
  readonly #devices: { from: number; sizeBytes: number }[];
  #lastUuid: Uint8Array | undefined;
  readonly #places: Place[] = [];
  #index: number;

  constructor(random: Random, beginning: Beginning) {
    this.#random = random;
    this.#unit = beginning.unitBytes;
    this.#directories = [...beginning.directories];
    this.#files = [...beginning.files];
    this.#devices = beginning.devices.map((device) => ({ ...device }));
    this.#index = beginning.nextIndex;
  }

  write(count: number): void {
    for (let left = count; left > 0; left--) {
      const make = this.#random.weighted<() => Uint8Array>([
        [24, () => this.#mkdir()],
        [30, () => this.#file()],
        [18, () => this.#spoiltFile()],
        [4, () => this.#spoilt(this.#mkdir(), MKDIR, MKDIR.path)],
        [12, () => this.#delete()],
        [4, () => this.#wrongDelete()],
        [5, () => this.#daxdev()],
        [1, () => this.#spoilt(this.#daxdev(), DAXDEV)],
        [1, () => this.#unknown()],
      ]);
      this.#append(make());
    }
  }

  /** Secondary devices, more than a pool may have. */
  writeDevices(count: number): void {
    for (let left = count; left > 0; left--) this.#append(this.#daxdev());
  }

  /** Entries that are all rejected, and none damaged: more than are kept with their text. */
  writeRejected(count: number): void {
    for (let left = count; left > 0; left--) this.#append(this.#unknown(), false);
  }

  #append(bytes: Uint8Array, mayDamage = true): void {
    const random = this.#random;
    setWord(bytes, ENTRY.seqnum, this.#index);
    if (mayDamage && random.oneIn(300)) spoilField(random, bytes, ENTRY.seqnum);
    sealEntry(bytes);
    if (mayDamage && random.oneIn(200)) flipSome(random, bytes);
    this.entries.push(bytes);
    this.#index += 1;
  }

  #path(): string {
    const parent = this.#random.pick([undefined, ...this.#directories])?.path ?? '';
    const name = plainName(this.#random);
    return parent === '' ? name : `${parent}/${name}`;
  }

  #mkdir(): Uint8Array {
    const bytes = blank(TYPE.mkdir);
    const again = this.#random.oneIn(12) ? this.#anyPath() : undefined;
    const path = again ?? this.#path();
    setHalf(bytes, MKDIR.mode, 0o755);
    bytes.set(pathField(path), MKDIR.path[0]);
    this.#directories.push({ path, index: this.#index });
    return bytes;
  }

  /** A file whose fmap is in order, on memory that mostly nobody has yet. */
  #file(): Uint8Array {
    const random = this.#random;
    const bytes = blank(TYPE.file);
    const path = random.oneIn(12) ? (this.#anyPath() ?? 'a') : this.#path();
    bytes.set(pathField(path), FILE.path[0]);
    setHalf(bytes, FILE.flags, random.oneIn(4) ? 1 : 2);
    setHalf(bytes, FILE.mode, random.oneIn(4) ? random.u32() : 0o644);
    if (random.oneIn(3)) this.#interleaved(bytes);
    else this.#simple(bytes);
    this.#files.push({ path, index: this.#index });
    return bytes;
  }

  #simple(bytes: Uint8Array): void {
    const random = this.#random;
    const count = random.oneIn(3) ? random.between(1, 16) : 1;
    const places = Array.from({ length: count }, () => {
      return this.#takePlace(this.#unit * (random.oneIn(4) ? random.between(1, 64) : 1));
    });
    const capacity = places.reduce((sum, place) => sum + place.lengthBytes, 0);
    setHalf(bytes, FILE.extType, 0);
    setHalf(bytes, FILE.count, count);
    setPlaces(bytes, FILE.extents, places);
    setWord(bytes, FILE.size, this.#sizeIn(capacity));
  }

  #interleaved(bytes: Uint8Array): void {
    const random = this.#random;
    const count = random.pick([1, 2, 3, 4, 8, 15, 16]);
    const chunkBytes = this.#unit * 2 ** random.below(3);
    const chunks = random.between(1, 4);
    const places = Array.from({ length: count }, () => {
      const extra = random.oneIn(5) ? this.#unit * random.below(4) : 0;
      return this.#takePlace(chunkBytes * chunks + extra);
    });
    setHalf(bytes, FILE.extType, 1);
    setHalf(bytes, FILE.count, 1);
    setWord(bytes, FILE.stripCount, count);
    setWord(bytes, FILE.chunkSize, chunkBytes);
    setPlaces(bytes, FILE.strips, places);
    setWord(bytes, FILE.size, this.#sizeIn(count * chunks * chunkBytes));
  }

  #sizeIn(capacity: number): number {
    const random = this.#random;
    return random.pick([1, capacity, capacity - 1, random.between(1, Math.max(1, capacity))]);
  }

  #takePlace(lengthBytes: number): Place {
    const random = this.#random;
    const devindex = random.below(this.#devices.length);
    const device = this.#devices[devindex] as { from: number; sizeBytes: number };
    const last = device.sizeBytes - lengthBytes;
    const where = random.weighted([
      [1, 'at the end'],
      [1, 'anywhere'],
      [10, 'next'],
    ] as const);
    let offset = device.from;
    if (where === 'at the end') offset = last - (last % this.#unit);
    else if (where === 'anywhere') offset = this.#unit * random.below(units(last, this.#unit));
    else device.from += lengthBytes + (random.oneIn(4) ? this.#unit : 0);
    const place = { devindex, offset: Math.max(0, offset), lengthBytes };
    this.#places.push(place);
    return place;
  }

  #spoiltFile(): Uint8Array {
    const random = this.#random;
    const bytes = this.#file();
    const isSimple = viewOf(bytes).getUint32(FILE.extType[0], true) === 0;
    const [list] = isSimple ? FILE.extents : FILE.strips;
    const word = list + EXTENT_BYTES * random.below(random.oneIn(2) ? 1 : 16);
    const spoil = random.weighted<() => void>([
      [5, () => bytes.set(oddPathField(random, this.#paths()), FILE.path[0])],
      [3, () => spoilField(random, bytes, [word + 8 * random.below(3), 8])],
      [2, () => setPlaces(bytes, [list, 0], [this.#nearAnEdge()])],
      [3, () => setPlaces(bytes, [word, 0], [this.#taken()])],
      [2, () => setWord(bytes, FILE.size, oddU64(random, viewOf(bytes).getBigUint64(16, true)))],
      [2, () => spoilField(random, bytes, random.oneIn(2) ? FILE.count : FILE.extType)],
      [2, () => spoilField(random, bytes, random.oneIn(2) ? FILE.stripCount : FILE.chunkSize)],
      [2, () => spoilField(random, bytes, random.pick(Object.values(FILE)))],
      [1, () => setHalf(bytes, FILE.extType, isSimple ? 1 : 0)],
      [1, () => setWord(bytes, FILE.chunkSize, this.#unit * random.pick([3, 5, 6, 2 ** 20]))],
    ]);
    spoil();
    return bytes;
  }

  /** Memory at the ends of what files may have: the log's end, the device's, and beyond. */
  #nearAnEdge(): Place {
    const random = this.#random;
    const devindex = random.below(this.#devices.length);
    const { sizeBytes } = this.#devices[devindex] as { sizeBytes: number };
    const edge = random.pick([0, LOG_START, LOG_START + 4 * UNIT_BYTES, UNIT_BYTES, sizeBytes]);
    const step = random.pick([this.#unit, this.#unit / 2, 4096, 512, 1]);
    const offset = edge - (edge % step) + step * random.between(-3, 3);
    return { devindex, offset: Math.max(0, offset), lengthBytes: step * random.between(0, 4) };
  }

  /** Memory that an earlier file has, as a whole or in part. */
  #taken(): Place {
    const random = this.#random;
    const taken = this.#places.length > 0 ? random.pick(this.#places) : this.#nearAnEdge();
    const shift = this.#unit * random.between(-1, 1);
    const lengthBytes = random.oneIn(2) ? taken.lengthBytes : this.#unit * random.between(1, 9);
    return { ...taken, offset: Math.max(0, taken.offset + shift), lengthBytes };
  }

  #delete(): Uint8Array {
    const random = this.#random;
    const from = random.oneIn(3) ? this.#directories : this.#files;
    const target = from.length > 0 ? random.pick(from) : { path: 'a', index: 0 };
    return deletion(target);
  }

  #wrongDelete(): Uint8Array {
    const random = this.#random;
    const target = this.#delete();
    const spoil = random.weighted<() => void>([
      [2, () => spoilField(random, target, DELETE.target)],
      [2, () => target.set(oddPathField(random, this.#paths()), DELETE.path[0])],
      [1, () => target.fill(0, DELETE.path[0], DELETE.path[0] + DELETE.path[1])],
      [1, () => setWord(target, DELETE.target, -1n)],
    ]);
    spoil();
    return target;
  }

  #daxdev(): Uint8Array {
    const random = this.#random;
    const bytes = blank(TYPE.daxdev);
    const sizeBytes = random.pick([
      UNIT_BYTES * random.between(2, 300),
      UNIT_BYTES * random.between(2, 300) + 4096 * random.below(512),
      UNIT_BYTES * 2 ** random.between(9, 30),
    ]);
    setWord(bytes, DAXDEV.size, sizeBytes);
    if (this.#lastUuid !== undefined && random.oneIn(10)) {
      bytes.set(this.#lastUuid, DAXDEV.uuid[0]); // is refused: no device comes of it
      setHalf(bytes, DAXDEV.index, this.#devices.length);
      return bytes;
    }
    this.#lastUuid = random.bytes(16);
    bytes.set(this.#lastUuid, DAXDEV.uuid[0]);
    setHalf(bytes, DAXDEV.index, this.#devices.length);
    this.#devices.push({ from: UNIT_BYTES, sizeBytes });
    return bytes;
  }

  #unknown(): Uint8Array {
    const bytes = blank(oddU32(this.#random, 4));
    if (this.#random.oneIn(2)) bytes.set(this.#random.bytes(520), 16);
    return bytes;
  }

  #spoilt(bytes: Uint8Array, fields: Record<string, FieldAt>, path?: FieldAt): Uint8Array {
    const random = this.#random;
    if (path !== undefined && !random.oneIn(4)) {
      bytes.set(oddPathField(random, this.#paths()), path[0]);
    } else {
      spoilField(random, bytes, random.pick(Object.values(fields)));
    }
    return bytes;
  }

  /** A path that is taken, or was. */
  #anyPath(): string | undefined {
    const named = this.#random.oneIn(2) ? this.#files : this.#directories;
    return named.length > 0 ? this.#random.pick(named).path : undefined;
  }

  #paths(): string[] {
    return ['', ...this.#directories.map(({ path }) => path), ...this.#files.map((f) => f.path)];
  }
}

/** Whole units in a length, at least one. */
function units(lengthBytes: number, unit: number): number {
  return Math.max(1, Math.floor(lengthBytes / unit));
}

function blank(type: number): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  setHalf(bytes, ENTRY.type, type);
  return bytes;
}

function deletion({ path, index }: Named): Uint8Array {
  const bytes = blank(TYPE.delete);
  setWord(bytes, DELETE.target, index);
  bytes.set(pathField(path), DELETE.path[0]);
  return bytes;
}

function setPlaces(bytes: Uint8Array, [at]: FieldAt, places: readonly Place[]): void {
  places.forEach(({ devindex, offset, lengthBytes }, place) => {
    const base = at + EXTENT_BYTES * place;
    setWord(bytes, [base, 8], devindex);
    setWord(bytes, [base + 8, 8], offset);
    setWord(bytes, [base + 16, 8], lengthBytes);
  });
}
