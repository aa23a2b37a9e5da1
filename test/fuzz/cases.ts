import { COMMAND_KIND } from './command-kind.ts';
import { CSI_KINDS } from './csi-kinds.ts';
import { DECODER_KINDS } from './decoder-kinds.ts';
import { FUSE_KIND } from './fuse-kind.ts';
import type { AnyKind } from './kind.ts';
import { LOG_KINDS } from './log-kinds.ts';
import { MOUNTED_KIND } from './mounted-kind.ts';
import { MOUNTER_KIND } from './mounter-kind.ts';
import { Random } from './random.ts';
import { REPAIR_KIND } from './repair-kind.ts';
import { Tally } from './tally.ts';

export const KINDS: readonly AnyKind[] = [
  ...DECODER_KINDS,
  ...LOG_KINDS,
  MOUNTED_KIND,
  COMMAND_KIND,
  REPAIR_KIND,
  FUSE_KIND,
  ...CSI_KINDS,
  MOUNTER_KIND,
];
const WEIGHTED = KINDS.map((kind) => [kind.weight, kind] as const);
/** Inputs that a failure tries to be reduced to. */
const SHRINK_ATTEMPTS = 2000;

/** One case of a run, made from nothing but the run's seed and its number. */
export interface Case {
  readonly kind: AnyKind;
  readonly input: unknown;
}

export function makeCase(seed: number, number: number): Case {
  const random = new Random(seed, 2 * number);
  const kind = random.weighted(WEIGHTED);
  return { kind, input: kind.generate(random) };
}

/** Throws what is wrong with the product. */
export function runCase({ kind, input }: Case, seed: number, number: number, tally: Tally): void {
  kind.run(input, new Random(seed, 2 * number + 1), tally);
}

/** The simplest input found that still fails, and how. */
export function reduce(failing: Case, seed: number, number: number): { input: Case; why: unknown } {
  let input = failing;
  let why = failureOf(input, seed, number);
  for (let attempts = 0; attempts < SHRINK_ATTEMPTS; ) {
    let simpler: Case | undefined;
    for (const candidate of input.kind.shrink(input.input)) {
      if (++attempts > SHRINK_ATTEMPTS) break;
      const one = { kind: input.kind, input: candidate };
      const failure = failureOf(one, seed, number);
      if (failure === undefined) continue;
      simpler = one;
      why = failure;
      break;
    }
    if (simpler === undefined) break;
    input = simpler;
  }
  return { input, why };
}

function failureOf(one: Case, seed: number, number: number): unknown {
  try {
    runCase(one, seed, number, new Tally());
    return undefined;
  } catch (error) {
    return error ?? 'undefined was thrown';
  }
}
