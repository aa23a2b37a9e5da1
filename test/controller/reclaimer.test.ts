import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { rejection } from '../support/caught.ts';
import { ReclaimSetting } from './fake-nodes.ts';
import { expectClean } from './memory-pool.ts';

/** A volume that was deleted while nodes a and b know the pool; nothing said since. */
async function deleted(): Promise<ReclaimSetting & { ino: number; taken: number }> {
  const setting = new ReclaimSetting();
  setting.say('a');
  setting.say('b');
  await setting.create('v');
  const ino = setting.inoOf('v');
  await setting.delete('v');
  return Object.assign(setting, { ino, taken: setting.freeBytes });
}

describe('a log that a controller died rewriting', () => {
  test.each([6, 7, 8])('is finished by the next one, cut after %d stores', async (stores) => {
    const setting = await deleted();
    setting.pool.memory.dieAfter(stores);
    await rejection(setting.pool.compact());
    setting.restart();
    expect(setting.pool.isSettled).toBe(false);
    await setting.look();
    expect(setting.pool.isSettled).toBe(true);
    expectClean(setting.pool);
  });
});

describe('the memory of a deleted volume', () => {
  test('is free again once every node has seen the deletion and holds nothing of it', async () => {
    const setting = await deleted();
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
    setting.say('a');
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
    setting.say('b');
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
    expect(setting.pool.replica.dead).toEqual([]);
    expectClean(setting.pool);
  });

  test('is zeroed before it is given back, and not while anybody may have it', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', [setting.ino]);
    await setting.look();
    expect(setting.pool.scrubbed).toEqual([]);
    setting.say('b');
    await setting.look();
    expect(setting.pool.scrubbed).toEqual([setting.ino]);
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('stays in quarantine while a node holds it, be other files held or not', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', [setting.ino]);
    for (let look = 0; look < 3; look++) await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
    setting.say('b', [setting.ino + 1]);
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('stays while a node holds more than it can list', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', 'unknown');
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
  });

  test('stays while a node is silent, however long, and is free when it is back', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.nodes.set({ node: 'b' });
    for (let look = 0; look < 100; look++) await setting.look(3_600_000);
    expect(setting.freeBytes).toBe(setting.taken);
    setting.say('b');
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('is free when the node that held it is gone', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', [setting.ino]);
    await setting.look();
    const [, b] = setting.nodes.known();
    setting.nodes.set({ node: 'b', said: b?.said, gone: 'its Node object is deleted' });
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('stays where the node that says nothing is held of it speaks of another pool', async () => {
    const setting = await deleted();
    setting.say('a');
    const place = { generation: 0, position: 1000 };
    const fsUuid = 'aaaaaaaa-0000-4000-8000-000000000000';
    setting.nodes.set({ node: 'b', said: { fsUuid, place, held: new Set() } });
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
  });

  test('is not free for what a node said of a log that was rewritten since', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    // Something else was compacted before this controller looked.
    await setting.pool.compact();
    await setting.look();
    expect(setting.pool.replica.dead).toHaveLength(1);
    setting.say('a');
    setting.say('b');
    await setting.look();
    expect(setting.pool.replica.dead).toEqual([]);
  });

  test('is not free for what a node says of a log that is not read here yet', async () => {
    const setting = await deleted();
    const { fsUuid, generation } = setting.pool;
    const place = { generation: generation + 1, position: 1000 };
    for (const node of ['a', 'b']) {
      setting.nodes.set({ node, said: { fsUuid, place, held: new Set() } });
    }
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
  });

  test('is not free when the same memory is another file, deleted again', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    await setting.look();
    await setting.create('w');
    expect(setting.inoOf('w')).toBe(setting.ino);
    await setting.delete('w');
    // Nobody has said anything since; the writer alone would compact.
    expect(await rejection(setting.create('x', GiB - 64 * MiB))).toMatchObject({
      code: 'NO_SPACE',
    });
    expect(setting.pool.replica.dead).toHaveLength(1);
  });

  test('waits for a node that is heard of only when it is asked anew', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    setting.nodes.late.set('c', { node: 'c' });
    await setting.look();
    expect([setting.nodes.asked, setting.freeBytes]).toEqual([1, setting.taken]);
  });

  test('is not free with that of a file that is deleted while the nodes are asked', async () => {
    const setting = await deleted();
    await setting.create('late');
    // They are ahead: what they say is of the deletion, too.
    setting.sayAhead('a');
    setting.sayAhead('b');
    setting.nodes.meanwhile = async () => {
      // Another node, which registered after the question, may have been given it meanwhile.
      await setting.delete('late');
    };
    await setting.look();
    const dead = setting.pool.replica.dead.map(({ node }) => node.path);
    expect(dead).toEqual([expect.stringMatching(/^\+late\+/)]);
  });

  test('is free over a start of the controller, which has what others see', async () => {
    const setting = await deleted();
    setting.say('a');
    await setting.look();
    setting.restart();
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken);
    setting.say('b');
    setting.restart();
    await setting.look(0);
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('is given back though a volume that does not fit is asked for again and again', async () => {
    const setting = await deleted();
    const { generation } = setting.pool;
    setting.say('a');
    await rejection(setting.create('big', GiB));
    setting.say('b');
    await rejection(setting.create('big', GiB));
    // A log that is rewritten for nothing makes what nodes have said worth nothing.
    expect(setting.pool.generation).toBe(generation);
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
  });

  test('is used by the writer at once where a volume needs it', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    setting.permit();
    await setting.create('w', setting.taken + 64 * MiB - 4 * MiB);
    expect(setting.pool.replica.dead).toEqual([]);
    expectClean(setting.pool);
  });
});

describe('a controller that reclaims', () => {
  test('does nothing while another one leads, whatever it was told before', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    setting.leadership.isLeading = false;
    await setting.look();
    expect([setting.nodes.asked, setting.freeBytes]).toEqual([0, setting.taken]);
  });

  test('does nothing either when it stops leading while it asks', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    setting.nodes.meanwhile = async () => {
      setting.leadership.isLeading = false;
    };
    await setting.look();
    const { pool, releases } = setting;
    const isReleased = pool.replica.dead.map((one) =>
      releases.isReleased('p', pool.generation, one),
    );
    expect([setting.freeBytes, isReleased]).toEqual([setting.taken, [false]]);
  });

  test('rewrites the log every 10 seconds at most', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    await setting.look();
    await setting.create('w');
    await setting.delete('w');
    setting.say('a');
    setting.say('b');
    await setting.look(9_000);
    expect(setting.pool.replica.dead).toHaveLength(1);
    await setting.look(1_000);
    expect(setting.pool.replica.dead).toEqual([]);
  });

  test('leaves the log alone while nothing could be freed', async () => {
    const setting = await deleted();
    const { generation } = setting.pool;
    for (let look = 0; look < 5; look++) await setting.look();
    expect([setting.pool.generation, setting.nodes.asked]).toEqual([generation, 0]);
  });

  test('rewrites a log that is over 3/4 full and half dead, for no memory', async () => {
    const setting = await deleted();
    const { capacity } = setting.pool.replica;
    const pair = (name: string, targetIndex: number): NewEntry[] => [
      { type: 'mkdir', path: name, uid: 0, gid: 0, mode: 0o755 },
      { type: 'delete', path: name, targetIndex },
    ];
    const churn = (pairs: number) =>
      setting.pool.append(({ position }) => ({
        entries: Array.from({ length: pairs }, (_, at) => pair('d', position + 2 * at)).flat(),
        result: undefined,
      }));
    while (setting.pool.replica.position < 0.74 * capacity) await churn(50);
    await setting.look();
    expect(setting.pool.replica.position).toBeGreaterThan(0.74 * capacity);
    while (setting.pool.replica.position < 0.76 * capacity) await churn(50);
    await setting.look();
    // A filler, and two entries of the file that is in quarantine still.
    expect([setting.pool.replica.position, setting.freeBytes]).toEqual([3, setting.taken]);
  });

  test('says once that it cannot, tries again, and says when it works again', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b');
    setting.nodes.failure = new Error('the API server is gone');
    for (let look = 0; look < 3; look++) await setting.look();
    expect([setting.nodes.asked, setting.freeBytes]).toEqual([3, setting.taken]);
    setting.nodes.failure = undefined;
    await setting.look();
    expect(setting.freeBytes).toBe(setting.taken + 64 * MiB);
    expect(setting.lines).toEqual([
      'memory of pool p is not given back: the API server is gone',
      'log rewritten: 64 MiB can be used again',
      'memory of pool p is not given back: works again',
    ]);
  });
});

describe('what is in quarantine', () => {
  test('is told by volume, with whom it waits for, why, and since when', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', [setting.ino]);
    await setting.look();
    setting.date = '2026-11-25T12:00:00.000Z';
    await setting.create('w', MiB);
    await setting.delete('w');
    await setting.look();
    const behind = 'has not said yet that it has seen the deletion';
    expect(setting.quarantine.of(setting.pool)).toEqual([
      {
        ...{ volume: 'v', bytes: 64 * MiB, files: 1, since: '2026-11-24T12:00:00.000Z' },
        waitsFor: [{ node: 'b', reason: 'holds 1 deleted file', bytes: 64 * MiB }],
      },
      {
        ...{ volume: 'w', bytes: 2 * MiB, files: 1, since: '2026-11-25T12:00:00.000Z' },
        waitsFor: ['a', 'b'].map((node) => ({ node, reason: behind, bytes: 2 * MiB })),
      },
    ]);
  });

  test('keeps its name and its time over a compaction', async () => {
    const setting = await deleted();
    await setting.look();
    setting.date = '2026-11-25T12:00:00.000Z';
    await setting.pool.compact();
    await setting.look();
    expect(setting.quarantine.of(setting.pool)).toMatchObject([
      { volume: 'v', files: 1, since: '2026-11-24T12:00:00.000Z' },
    ]);
  });

  test('is since what the controller before wrote down', async () => {
    const setting = await deleted();
    setting.restart();
    setting.quarantine.remember('p', [
      { volume: 'v', since: '2026-11-01T00:00:00.000Z' },
      { volume: 'x', since: '2026-11-02T00:00:00.000Z' },
    ]);
    expect(setting.quarantine.of(setting.pool)).toMatchObject([
      { volume: 'v', since: '2026-11-01T00:00:00.000Z' },
    ]);
  });

  test('is in the message of a pool that is full', async () => {
    const setting = await deleted();
    setting.say('a');
    setting.say('b', [setting.ino]);
    await setting.look();
    const { message } = await rejection(setting.create('big', GiB));
    expect(message).toMatch(
      /; 64 MiB more are in quarantine: 64 MiB of v, deleted 2026-\S+, wait for node b \(holds 1/,
    );
  });

  test('is not mentioned where there is nothing in it', async () => {
    const setting = new ReclaimSetting();
    const { message } = await rejection(setting.create('big', GiB));
    expect(message).not.toContain('quarantine');
  });
});
