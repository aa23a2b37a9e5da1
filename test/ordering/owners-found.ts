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
