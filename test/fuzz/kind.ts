import type { Random } from './random.ts';
import type { Tally } from './tally.ts';

/** One family of cases: how an input is made, and what must hold of it. */
export interface Kind<Input> {
  readonly name: string;
  /** How often it is taken, compared with the others. */
  readonly weight: number;
  generate(random: Random): Input;
  /** Throws where a property does not hold. `random` is the same for the same case. */
  run(input: Input, random: Random, tally: Tally): void;
  /** Inputs that are simpler than this one, the boldest first. */
  shrink(input: Input): Iterable<Input>;
  /** Lines from which a person can rebuild the input. */
  show(input: Input): string[];
}

/** A kind whose input only it knows. */
export type AnyKind = Kind<unknown>;

export function anyKind<Input>(kind: Kind<Input>): AnyKind {
  return kind as AnyKind;
}

/** Bytes as hex, zeros left out: `@40 2e2e2f61 @536 1f…`. */
export function hexRuns(bytes: Uint8Array): string {
  const runs: string[] = [];
  const hex = Buffer.from(bytes).toString('hex');
  for (const match of hex.matchAll(/(?:..)*?((?:[^0].|.[^0])(?:(?!(?:00){8}).{2})*)/g)) {
    const digits = match[1] as string;
    const at = ((match.index as number) + match[0].length - digits.length) / 2;
    runs.push(`@${at} ${digits.replace(/(00)+$/, '')}`);
  }
  return `${bytes.length} bytes: ${runs.join(' ') || 'all zero'}`;
}

/** Shorter and plainer versions of some bytes: cut in half, cut by one, stretches made zero. */
export function* simplerBytes(bytes: Uint8Array, mayCut: boolean): Iterable<Uint8Array> {
  if (mayCut && bytes.length > 0) {
    yield bytes.slice(0, bytes.length >> 1);
    yield bytes.slice(0, bytes.length - 1);
  }
  for (let run = bytes.length; run >= 1; run >>= 1) {
    for (let at = 0; at < bytes.length; at += run) {
      if (!bytes.subarray(at, at + run).some((byte) => byte !== 0)) continue;
      const copy = bytes.slice();
      copy.fill(0, at, at + run);
      yield copy;
    }
  }
}
