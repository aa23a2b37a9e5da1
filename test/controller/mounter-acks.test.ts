import { describe, expect, test } from '@jest/globals';
import { type AskedMounter, MounterAcks } from '../../src/controller/mounter-acks.ts';

const POOL = { name: 'p', fsUuid: 'aaaaaaaa-0000-4000-8000-000000000000' };
const OTHER = 'bbbbbbbb-0000-4000-8000-000000000000';

type Status = Awaited<ReturnType<AskedMounter['status']>>;

/** A mounter that has the pool at that place of generation 1, and holds those inodes. */
function mounted(logPosition: number, heldInodes?: number[], fsUuid = POOL.fsUuid): Status {
  const mount = { fsUuid, logPosition, logGeneration: 1 };
  return { pools: [{ mount, usage: heldInodes === undefined ? {} : { heldInodes } }] };
}

function acksOf(...answers: (() => Status)[]): MounterAcks {
  return new MounterAcks(
    answers.map((status, at) => ({ name: `m${at}`, status: async () => status() })),
  );
}

describe('what mounters acknowledge', () => {
  test('is what each says of the pool with that uuid, under whatever name', async () => {
    const acks = acksOf(
      () => ({ pools: [...mounted(9, [], OTHER).pools, ...mounted(7, [528]).pools] }),
      () => mounted(8, []),
    );
    expect(await acks.ask(POOL)).toMatchObject([
      { node: 'm0', said: { place: { generation: 1, position: 7 }, held: new Set([528]) } },
      { node: 'm1', said: { place: { generation: 1, position: 8 }, held: new Set() } },
    ]);
  });

  test('is unknown of one that does not list what it holds', async () => {
    expect(await acksOf(() => mounted(7)).ask(POOL)).toMatchObject([{ said: { held: 'unknown' } }]);
  });

  test('is nothing of one that never answered, which is waited for', async () => {
    const silent = acksOf(() => {
      throw new Error('no such socket');
    });
    expect(await silent.ask(POOL)).toEqual([{ node: 'm0' }]);
  });

  test('stays what it was when a mounter goes, or has the pool not mounted', async () => {
    let status = () => mounted(7, [528]);
    const acks = acksOf(() => status());
    const [before] = await acks.ask(POOL);
    status = () => {
      throw new Error('gone');
    };
    expect(await acks.ask(POOL)).toEqual([before]);
    status = () => ({ pools: [{}] });
    expect(await acks.ask(POOL)).toEqual([before]);
  });
});
