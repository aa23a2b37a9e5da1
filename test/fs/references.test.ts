import { expect, test } from '@jest/globals';
import { References } from '../../src/fs/references.ts';

const INO = 4711;

/** One inode that is open, and a RELEASE of it under way. */
function releasing(): References {
  const references = new References();
  references.begin();
  references.opened(INO);
  references.delivered();
  references.begin();
  references.released(INO);
  return references;
}

const opensOf = (references: References) => references.of(INO).opens;

test('a RELEASE counts when its reply is delivered, or when the kernel has no such request', () => {
  const delivered = releasing();
  expect(opensOf(delivered)).toBe(1);
  delivered.delivered();
  expect(opensOf(delivered)).toBe(0);
  const gone = releasing();
  gone.undo(true);
  expect(opensOf(gone)).toBe(0);
});

test('a RELEASE whose reply could not be sent does not: it comes again', () => {
  const references = releasing();
  references.undo(false);
  expect(opensOf(references)).toBe(1);
  // Nor does it later, with another's.
  references.begin();
  references.delivered();
  expect(opensOf(references)).toBe(1);
});

test('what a request gave is taken back where its reply reached nobody', () => {
  for (const isGone of [true, false]) {
    const references = new References();
    references.begin();
    references.lookedUp(INO);
    references.opened(INO);
    references.undo(isGone);
    expect(references.of(INO)).toEqual({ lookups: 0, opens: 0 });
  }
});

test('who listens is told of each inode that nothing refers to any more, once', () => {
  const references = releasing();
  const unused: number[] = [];
  references.onUnused((ino) => unused.push(ino));
  references.lookedUp(INO);
  references.delivered();
  expect(unused).toEqual([]);
  references.forgotten(INO, 1);
  expect(unused).toEqual([INO]);
});
