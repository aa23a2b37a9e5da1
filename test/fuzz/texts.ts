import type { Random } from './random.ts';

const TEXTS: readonly string[] = [
  ...[
    '',
    ' ',
    '0',
    '1',
    '2',
    '-1',
    '16',
    '17',
    '0x10',
    '1e3',
    '007',
    '0666',
    '0999',
    '777',
    '1777',
  ],
  ...['4294967294', '4294967295', '9007199254740991', '9007199254740992', '99999999999999999999'],
  ...['4Mi', '4MiB', '2M', '3M', '1T', '1Ti', '999999999T', '4 Mi', '٤', 'NaN', 'Infinity'],
  ...['dax', 'any', 'DAX', 'true', 'false', 'True', 'null', 'undefined', 'data', '.data', 'a/b'],
  ...[
    '..',
    '../etc',
    '/etc',
    'a//b',
    './a',
    'a/..',
    '.meta',
    '.meta/.log',
    'a\0b',
    'a\n',
    '\u001b[',
  ],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '[object Object]', '{}', '[]'],
  ...[
    'größe',
    '\u202e',
    '\ud800',
    '\udfff',
    '\u{1f600}',
    '\ufeff',
    'x'.repeat(39),
    'x'.repeat(129),
  ],
  'y'.repeat(5000),
];

/** Text that is meant to be mistaken for something. */
export function oddText(random: Random): string {
  if (random.oneIn(6)) return String.fromCharCode(...random.bytes(random.below(12)));
  const text = random.pick(TEXTS);
  return random.oneIn(8) ? text + random.pick(TEXTS) : text;
}

/** Of each key, values that fit, and values that nearly do. */
export type Fitting = Readonly<
  Record<string, readonly [fits: readonly string[], nearly: readonly string[]]>
>;

/** A map that fits, but for at most a value or two, or a key that nobody knows. */
export function oddMap(random: Random, fitting: Fitting): Record<string, string> {
  const keys = Object.keys(fitting);
  const entries: [string, string][] = keys
    .filter(() => !random.oneIn(3))
    .map((key) => [key, random.pick(fitting[key]?.[0] ?? [''])]);
  for (let left = random.below(3); left > 0; left--) {
    const key = random.oneIn(8) ? oddText(random) : random.pick(keys);
    const nearly = random.oneIn(2) ? (fitting[key]?.[1] ?? []) : [];
    entries.push([key, nearly.length > 0 ? random.pick(nearly) : oddText(random)]);
  }
  return Object.fromEntries(entries);
}

/** Maps with an entry less, and with plainer values. */
export function* simplerMaps(map: Record<string, string>): Iterable<Record<string, string>> {
  const entries = Object.entries(map);
  for (const [at, [key, value]] of entries.entries()) {
    yield Object.fromEntries(entries.filter((_, other) => other !== at));
    if (value.length < 2) continue;
    const half = value.slice(0, value.length >> 1);
    yield Object.fromEntries(entries.map((e, other) => (other === at ? [key, half] : e)));
  }
}
