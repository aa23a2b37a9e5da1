import fc from 'fast-check';

export const HOSTS = 3;

/** One plan of a batch: what it asks for is decided by `pick` among what the replica has. */
export interface Step {
  readonly kind: 'file' | 'directory' | 'tree' | 'delete';
  readonly pick: number;
}

/** How a host is fenced whose writer was killed, before another host writes. */
export type Fence = 'power' | 'clean' | 'none';

/** One writer, from its open to its end; or one that idled since an earlier life on its host. */
export interface Life {
  readonly host: number;
  /** Plans of one batch are appended at the same time and share one publish. */
  readonly batches: readonly (readonly Step[])[];
  readonly end: 'stop' | 'power' | 'kill';
  /** At which of its elementary steps it ends; beyond its last one it stops by itself. */
  readonly endAt: number;
  /** If it stops, it stays open and idle, and a later life on its host goes on with it. */
  readonly stays: boolean;
  readonly fence: Fence;
}

/** A life of a pool. Everything that the memory does to it is decided by `seed`. */
export interface Scenario {
  readonly seed: number;
  /** Entries of a pool that was on the device before: valid bytes in the slots. */
  readonly ancestors: number;
  /** The host of each reader. */
  readonly readers: readonly number[];
  /** How often a reader is killed in the middle of a poll. */
  readonly readerEndsChance: number;
  readonly lives: readonly Life[];
}

const LIFE_STEPS_MAX = 600;

const host = fc.nat({ max: HOSTS - 1 });

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('file', 'directory', 'tree', 'delete'),
  pick: fc.nat({ max: 9 }),
});

const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 3,
});

const life: fc.Arbitrary<Life> = fc.record({
  host,
  batches,
  end: fc.constantFrom('stop', 'power', 'kill'),
  endAt: fc.nat({ max: LIFE_STEPS_MAX }),
  stays: fc.boolean(),
  fence: fc.constantFrom('power', 'clean'),
});

const world = {
  seed: fc.noShrink(fc.integer()),
  ancestors: fc.nat({ max: 6 }),
  readers: fc.array(host, { minLength: 1, maxLength: 3 }),
  readerEndsChance: fc.constantFrom(0.02, 0.2),
};

/** Anything: writers on any hosts, that stop, are killed, or lose power with their hosts. */
export const anyLives: fc.Arbitrary<Scenario> = fc.record({
  ...world,
  lives: fc.array(life, { minLength: 1, maxLength: 4 }),
});

const TREE: Step = { kind: 'tree', pick: 0 };
const FILE: Step = { kind: 'file', pick: 1 };
/** While the entries of the first batch are stored, after the log was taken over. */
const FIRST_STORES = { min: 90, max: 230 };

/**
 * A writer is killed while it stores its first entries. Then another one, on the same host unless
 * `elsewhere`, appends less than that and stops; then one on another host goes on.
 */
export function killedWhileStoring(fence: Fence, elsewhere = false): fc.Arbitrary<Scenario> {
  const common = { stays: false, fence } as const;
  return fc.record({
    ...world,
    lives: fc.integer(FIRST_STORES).map((endAt): Life[] => [
      { ...common, host: 0, batches: [[TREE, TREE, TREE]], end: 'kill', endAt },
      { ...common, host: elsewhere ? 1 : 0, batches: [[FILE]], end: 'stop', endAt: 0 },
      { ...common, host: elsewhere ? 1 : 2, batches: [[TREE], [TREE]], end: 'stop', endAt: 0 },
    ]),
  });
}

/** One writer that loses power with its host at the given step, and one elsewhere after it. */
export function powerLossAt(endAt: number, seed: number): Scenario {
  const common = { stays: false, fence: 'none' } as const;
  return {
    seed,
    ancestors: 4,
    readers: [0, 1, 2],
    readerEndsChance: 0.1,
    lives: [
      { ...common, host: 0, batches: [[TREE, FILE], [FILE]], end: 'power', endAt },
      { ...common, host: 1, batches: [[TREE]], end: 'stop', endAt: 0 },
    ],
  };
}
