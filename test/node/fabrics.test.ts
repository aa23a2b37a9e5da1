import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import type { MounterStatus, PoolStatus } from '../../src/mounter/client.ts';
import { Fabrics } from '../../src/node/fabrics.ts';
import { rejection } from '../support/caught.ts';

const DRIVER = 'csi.famfs.io';

function pool(name: string, fsUuid?: string): PoolStatus {
  const mountPoint = `/pools/${name}`;
  const mount = fsUuid && {
    mountPoint,
    dataPath: 'buffered' as const,
    generation: 'buffered' as const,
    dataPathReason: '',
    fsUuid,
    logPosition: 0,
    logGeneration: 0,
  };
  const state = mount ? { mount } : { problem: 'not mounted yet' };
  return { name, devices: [{ path: `/dev/${name}` }], mountPoint, serverRestarts: 0, ...state };
}

/** A mounter that answers differently each time; the last answer stays. */
function mounter(...answers: (PoolStatus[] | Fault)[]) {
  let asked = 0;
  const status = async (): Promise<MounterStatus> => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer instanceof Fault) throw answer;
    return { keeperPid: 1, pools: answer ?? [] };
  };
  return { status, asked: () => asked };
}

const A = 'aaaaaaaa-0000-4000-8000-000000000000';
const B = 'bbbbbbbb-0000-4000-8000-000000000000';
const GONE = new Fault('UNAVAILABLE', 'mounter: is it running on this node?');

describe('the fabrics of a node', () => {
  test('are those of all mounted pools', async () => {
    const { status } = mounter([pool('a', A), pool('b', B)]);
    expect(await new Fabrics({ driverName: DRIVER, status }).topology()).toEqual({
      segments: {
        'topology.csi.famfs.io/fabric-aaaaaaaa': 'true',
        'topology.csi.famfs.io/fabric-bbbbbbbb': 'true',
      },
    });
  });

  test('are told only when every pool is mounted, and the mounter has come up', async () => {
    const { status, asked } = mounter(GONE, [pool('a'), pool('b')], [pool('a', A), pool('b', B)]);
    const { segments } = await new Fabrics({ driverName: DRIVER, status }).topology();
    expect(Object.keys(segments ?? {})).toHaveLength(2);
    expect(asked()).toBe(3);
  });

  test('are those that are mounted when the patience is over: others are not reached', async () => {
    const { status } = mounter([pool('a', A), pool('b')]);
    const fabrics = new Fabrics({ driverName: DRIVER, status, patienceMs: 300 });
    expect(await fabrics.topology()).toEqual({
      segments: { 'topology.csi.famfs.io/fabric-aaaaaaaa': 'true' },
    });
  });

  test('are none on a node without the memory, which is no error', async () => {
    const { status } = mounter([pool('a')]);
    const fabrics = new Fabrics({ driverName: DRIVER, status, patienceMs: 0 });
    expect(await fabrics.topology()).toEqual({ segments: {} });
  });

  test('are UNAVAILABLE while the mounter does not answer, so kubelet asks again', async () => {
    const { status } = mounter(GONE);
    const fabrics = new Fabrics({ driverName: DRIVER, status, patienceMs: 0 });
    expect((await rejection(fabrics.topology())).code).toBe('UNAVAILABLE');
  });

  test('stop waiting when kubelet gives up', async () => {
    const { status } = mounter([pool('a')]);
    const fabrics = new Fabrics({ driverName: DRIVER, status });
    const caller = new AbortController();
    const answer = fabrics.topology(caller.signal);
    caller.abort();
    expect(await answer).toEqual({ segments: {} });
  });

  test('that come after kubelet was told are noticed', async () => {
    const { status } = mounter([pool('a', A), pool('b')]);
    const fabrics = new Fabrics({ driverName: DRIVER, status, patienceMs: 0 });
    const later = { keeperPid: 1, pools: [pool('a', A), pool('b', B)] };
    expect(fabrics.untold(later)).toEqual([]);
    await fabrics.topology();
    expect(fabrics.untold(await status())).toEqual([]);
    expect(fabrics.untold(later)).toEqual(['b']);
  });
});
