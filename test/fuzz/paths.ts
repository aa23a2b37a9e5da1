import { PATH_BYTES } from './media.ts';
import type { Random } from './random.ts';

const NAMES = ['a', 'b', 'data', 'model.bin', 'pvc-0123', 'größe', '日本', 'с', 'x'.repeat(20)];

/** Components that no file system can have, or that a terminal, a tool or Unicode makes odd. */
const ODD_NAMES: readonly string[] = [
  ...[
    '',
    '.',
    '..',
    '...',
    '.meta',
    '.META',
    ' ',
    '-rf',
    '~',
    '*',
    '$(id)',
    '`id`',
    '"',
    "'",
    '\\',
  ],
  ...['..\\..', '.. ', '.\u200b.', '%2e%2e', 'CON', '__proto__', 'constructor', 'toString'],
  ...['\u001b[2J', '\u009b2J', '\u0007', '\u007f', '\n', '\r', '\t', '\u2028', '\ufeff', '\u202e'],
  ...['\u00e9', 'e\u0301', '\u212b', '\u00c5', '\ufb01', '\ud55c', '\u1112\u1161\u11ab', '\u0130'],
  ...['\u{1f600}', '\u{10ffff}', '\ufffd', '\uffff'],
];

/** Bytes that are no UTF-8: cut off, overlong, surrogates, beyond the last code point. */
const NOT_UTF8: readonly (readonly number[])[] = [
  [0x80],
  [0xc3],
  [0xff],
  [0xfe, 0xff],
  [0xc0, 0xaf],
  [0xc0, 0x80],
  [0xe0, 0x80, 0xaf],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xed, 0xbf, 0xbf],
  [0xf0, 0x80, 0x80, 0xaf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
];

export function plainName(random: Random): string {
  // What a repair puts in place of a damaged entry has such a name: it may be taken.
  if (random.oneIn(20)) return `lost+found-${random.below(30)}`;
  return random.oneIn(3) ? random.pick(NAMES) : `n${random.below(40)}`;
}

/** A path field of an entry as an honest writer fills it; what is too long is cut. */
export function pathField(path: string): Uint8Array {
  const field = new Uint8Array(PATH_BYTES);
  field.set(Buffer.from(path).subarray(0, PATH_BYTES - 1));
  return field;
}

/** A path field of any kind; `directories` are paths that may exist. */
export function oddPathField(random: Random, directories: readonly string[]): Uint8Array {
  const base = random.pick(directories);
  const below = (name: string) => (base === '' ? name : `${base}/${name}`);
  const name = plainName(random);
  const odd = random.pick(ODD_NAMES);
  const make = random.weighted<() => Uint8Array>([
    [6, () => pathField(below(odd))],
    [3, () => pathField(`${below(odd)}/${name}`)],
    [2, () => pathField(odd)],
    [2, () => pathField(`${odd}/${odd}`)],
    [1, () => pathField(`/${below(name)}`)],
    [1, () => pathField(`${below(name)}/`)],
    [1, () => pathField(`${base}//${name}`)],
    [1, () => pathField(`${base}/../${name}`)],
    [1, () => pathField(`${'../'.repeat(random.between(1, 20))}etc/passwd`)],
    [1, () => pathField(`missing${random.below(9)}/${name}`)],
    [1, () => new Uint8Array(PATH_BYTES)],
    [2, () => filled(random, 78)],
    [3, () => filled(random, 79)],
    [3, () => filled(random, 80)],
    [2, () => withBytes(below(name), [0, 0x2e, 0x2e, 0x2f, 0x61])],
    [4, () => withBytes(below(name), random.pick(NOT_UTF8))],
    [2, () => withBytes(`${'y'.repeat(70 + random.below(9))}`, [0xc3, 0xa9])],
    [1, () => random.bytes(PATH_BYTES)],
  ]);
  return make();
}

/** `length` bytes with no NUL among them: one name, or many short ones. */
function filled(random: Random, length: number): Uint8Array {
  const field = new Uint8Array(PATH_BYTES);
  const separator = random.oneIn(2) ? '/' : '-';
  field.set(Buffer.from(`z${separator}`.repeat(PATH_BYTES).slice(0, length - 1)));
  field[length - 1] = 0x7a;
  return field;
}

function withBytes(path: string, bytes: readonly number[]): Uint8Array {
  const field = pathField(path);
  const end = field.indexOf(0);
  field.set(bytes.slice(0, PATH_BYTES - end), end);
  return field;
}
