import type { OwnersScenario } from './owners-world.ts';

/** Cases that long runs have found, each with what was wrong; as far as the steps are the same. */
export const FOUND: readonly OwnersScenario[] = [
  // A log was rewritten with the void slots of the one before: their hosts had just closed.
  {
    seed: -784362578,
    acts: [
      { host: 0, kind: 'create', pick: 0, end: 'kill', endAt: 68 },
      { host: 1, kind: 'compact', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
    ],
    nested: [
      { host: 2, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'open', pick: 0, end: 'stop', endAt: 0 },
      { host: 2, kind: 'compact', pick: 0, end: 'power', endAt: 244 },
      { host: 2, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
    ],
  },
  // An owner appended behind the entries of another one, where nothing was void for it.
  {
    seed: -621679181,
    acts: [
      { host: 1, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 2, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
    ],
    nested: [
      { host: 0, kind: 'compact', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'compact', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
    ],
  },
  // Where a log ended was taken from a host that had died rewriting it: of the log before.
  {
    seed: -1361022310,
    acts: [
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 1, kind: 'compact', pick: 0, end: 'power', endAt: 312 },
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 0, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
    ],
    nested: [
      { host: 1, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 2, kind: 'delete', pick: 0, end: 'stop', endAt: 0 },
      { host: 2, kind: 'create', pick: 0, end: 'stop', endAt: 0 },
      { host: 1, kind: 'create', pick: 0, end: 'power', endAt: 242 },
    ],
  },
];

/** It kills a mutant that closes a slot and wrote nothing back; chance takes thousands of runs. */
export const CLOSED_DIRTY: OwnersScenario = {
  seed: 1894409251,
  acts: [
    { host: 1, kind: 'open', pick: 1, end: 'power', endAt: 156 },
    { host: 2, kind: 'create', pick: 9, end: 'power', endAt: 601 },
    { host: 1, kind: 'compact', pick: 8, end: 'stop', endAt: 657 },
    { host: 2, kind: 'scrub', pick: 7, end: 'power', endAt: 358 },
    { host: 1, kind: 'create', pick: 5, end: 'power', endAt: 432 },
    { host: 1, kind: 'scrub', pick: 3, end: 'power', endAt: 395 },
  ],
  nested: [
    { host: 2, kind: 'create', pick: 7, end: 'kill', endAt: 174 },
    { host: 2, kind: 'open', pick: 2, end: 'stop', endAt: 545 },
    { host: 1, kind: 'create', pick: 0, end: 'stop', endAt: 147 },
  ],
};
