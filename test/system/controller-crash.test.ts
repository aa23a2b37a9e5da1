import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../src/base/numbers.ts';
import { parseParameters } from '../../src/controller/parameters.ts';
import { planCreate } from '../../src/controller/volume-plans.ts';
import type { CsiClient } from '../../src/csi/client.ts';
import { RESERVED_ENTRIES } from '../../src/pool/log-writer.ts';
import { create } from '../controller/harness.ts';
import { failure } from '../csi/harness.ts';
import { Fabric } from '../support/controller-process.ts';

const NAMES = Array.from({ length: 64 }, (_, at) => `pvc-${String(at).padStart(2, '0')}`);
const FILES = NAMES.map((name) => `${name}/data`);

/** Sizes that end inside of an allocation unit, on its edge, and in the next one. */
function sized(name: string, at: number) {
  return create(name, { capacity_range: { required_bytes: 1 + at * 64 * 1024 } });
}

function createAll({ controller }: CsiClient) {
  return Promise.all(NAMES.map((name, at) => controller.createVolume(sized(name, at))));
}

function expectClean(fabric: Fabric): void {
  const { report, exitCode } = fabric.checkByCommand();
  expect(exitCode).toBe(0);
  expect(report).toMatchObject({ usable: true, error: null, problems: [] });
  expectApart(fabric);
}

function expectApart(fabric: Fabric): void {
  const { extents } = fabric.contents();
  extents.slice(1).forEach((extent, at) => {
    const before = extents[at];
    expect((before?.offset ?? 0) + (before?.lengthBytes ?? 0)).toBeLessThanOrEqual(extent.offset);
  });
}

/** What a create or a delete stores: log open (2), entries, committed, next_seqnum, next_index. */
const DEATHS = [
  ['before it stores anything', 0],
  ['with the log half opened', 1.5],
  ['with the log opened', 2],
  ['with its first entry half written', 2.25],
  ['with its second entry half written', 2.75],
  ['with its entries written', 3],
  ['with its entries committed', 4],
  ['with next_seqnum published', 5],
  ['with next_index published, before it replies', 6],
] as const;
const COMMITTED = 4;

/** Until next_index follows, a check says so, and that the next append mends it. */
function codesAfter(stores: number): string[] {
  return { 4: ['NEXT_INDEX'], 5: ['NEXT_SEQNUM', 'NEXT_INDEX'] }[stores] ?? [];
}

describe('a controller process that is killed', () => {
  test.each(DEATHS)('in CreateVolume %s: the retry makes one volume', async (_, stores) => {
    await using fabric = new Fabric(256 * MiB);
    const { freeBytes } = fabric.check();
    const dying = await fabric.controller(stores);
    const died = await failure(dying.client.controller.createVolume(create('v')));
    expect(died).toMatch(/^UNAVAILABLE: /);
    expect(await dying.ended).toBe('SIGKILL');
    expect(fabric.check().problems.map(({ code }) => code)).toEqual(codesAfter(stores));
    expect(fabric.contents().paths).toEqual(stores >= COMMITTED ? ['v/data'] : []);
    const { controller } = (await fabric.controller()).client;
    const { volume } = await controller.createVolume(create('v'));
    expect(volume).toMatchObject({ volume_id: 'v', capacity_bytes: String(64 * MiB) });
    expect((await controller.listVolumes({})).entries).toHaveLength(1);
    expect(fabric.contents().paths).toEqual(['v/data']);
    expect(fabric.check()).toMatchObject({
      log: { entries: 2, applied: 2 },
      directories: 1,
      freeBytes: freeBytes - 64 * MiB,
    });
    expectClean(fabric);
  });

  test.each(DEATHS.slice(3))('in DeleteVolume %s: the retry leaves none', async (_, stores) => {
    await using fabric = new Fabric(256 * MiB);
    {
      using pool = fabric.open();
      const { dataPath: __, ...file } = parseParameters({});
      const wanted = { ...file, name: 'v', requiredBytes: 64 * MiB, limitBytes: 0 };
      await pool.append((replica) => planCreate(pool, replica, 'v', wanted));
    }
    const dying = await fabric.controller(stores);
    const died = await failure(dying.client.controller.deleteVolume({ volume_id: 'v' }));
    expect(died).toMatch(/^UNAVAILABLE: /);
    expect(await dying.ended).toBe('SIGKILL');
    expect(fabric.check().problems.map(({ code }) => code)).toEqual(codesAfter(stores));
    expect(fabric.contents().paths).toEqual(stores >= COMMITTED ? [] : ['v/data']);
    const { controller } = (await fabric.controller()).client;
    await controller.deleteVolume({ volume_id: 'v' });
    expect((await controller.listVolumes({})).entries).toEqual([]);
    expect(fabric.check()).toMatchObject({ log: { entries: 4, applied: 4 }, directories: 0 });
    expect(fabric.contents().paths).toEqual([]);
    expectClean(fabric);
  });
});

describe('64 concurrent CreateVolume calls', () => {
  test('make 64 volumes apart from each other, in one controller', async () => {
    await using fabric = new Fabric(GiB);
    const { client } = await fabric.controller();
    // Each name twice: the second waits for the first, and gets its answer.
    const [first, second] = await Promise.all([createAll(client), createAll(client)]);
    expect(second).toEqual(first);
    expect(first.map(({ volume }) => volume?.volume_id)).toEqual(NAMES);
    expectClean(fabric);
    expect(fabric.contents().paths.sort()).toEqual(FILES);
    expect(fabric.check()).toMatchObject({ log: { entries: 128, applied: 128, skipped: 0 } });
  });

  test('make them in two controllers at once, which both give the same answers', async () => {
    await using fabric = new Fabric(GiB);
    const one = await fabric.controller();
    const other = await fabric.controller();
    const [first, second] = await Promise.all([createAll(one.client), createAll(other.client)]);
    expect(second).toEqual(first);
    expectClean(fabric);
    expect(fabric.contents().paths.sort()).toEqual(FILES);
    expect(fabric.check()).toMatchObject({ log: { entries: 128, applied: 128, skipped: 0 } });
  });

  test('never take the same memory or log entry in two controllers that race', async () => {
    await using fabric = new Fabric(4 * GiB);
    const controllers = [await fabric.controller(), await fabric.controller()];
    const names = Array.from({ length: 400 }, (_, at) => `race-${at}`);
    // One call after the other in each: many appends, which meet, instead of few large ones.
    await Promise.all(
      controllers.map(async ({ client }, which) => {
        for (const name of names.filter((_, at) => at % 2 === which)) {
          const { volume } = await client.controller.createVolume(
            create(name, { capacity_range: { required_bytes: MiB } }),
          );
          expect(volume?.volume_id).toBe(name);
        }
      }),
    );
    expectClean(fabric);
    expect(fabric.contents().paths.sort()).toEqual(names.map((name) => `${name}/data`).sort());
    expect(fabric.check()).toMatchObject({ log: { entries: 800, applied: 800, skipped: 0 } });
  });

  test('make them when the controller dies in their midst and all are retried', async () => {
    await using fabric = new Fabric(GiB);
    const first = await fabric.controller(COMMITTED + 2);
    const made = await Promise.allSettled([
      first.client.controller.createVolume(create('before')),
      createAll(first.client),
    ]);
    expect(made.some(({ status }) => status === 'rejected')).toBe(true);
    expect(await first.ended).toBe('SIGKILL');
    expectApart(fabric);
    const { client } = await fabric.controller();
    await client.controller.createVolume(create('before'));
    await createAll(client);
    expectClean(fabric);
    expect(fabric.contents().paths.sort()).toEqual(['before/data', ...FILES]);
    expect(fabric.check()).toMatchObject({ log: { entries: 130, applied: 130 } });
  });
});

describe('a full pool', () => {
  const STRIPED = { strips: '2', chunkSize: '4Mi' };

  test.each([
    ['contiguous', 64 * MiB, {}, 40 * MiB],
    ['striped', 2 * GiB + 64 * MiB, STRIPED, 1500 * MiB],
  ] as const)('says the largest %s size that fits, and that size fits', async (...row) => {
    const [, fabricBytes, parameters, taken] = row;
    await using fabric = new Fabric(fabricBytes);
    const { controller } = (await fabric.controller()).client;
    const asked = (name: string, bytes: number) =>
      controller.createVolume(
        create(name, { capacity_range: { required_bytes: bytes }, parameters }),
      );
    await asked('first', taken);
    const before = fabric.check();
    const refusal = await failure(asked('too-large', taken));
    const [, largest] =
      /^RESOURCE_EXHAUSTED: capacity_range\.required_bytes: .* now is (\d+) bytes/.exec(refusal) ??
      [];
    expect({ refusal, largest: Number(largest) > 0 }).toEqual({ refusal, largest: true });
    const capacity = await controller.getCapacity({ parameters });
    expect(capacity.available_capacity).toBe(largest);
    expect(await failure(asked('a-byte-more', Number(largest) + 1))).toContain(largest);
    expect(fabric.check()).toEqual(before);
    expect((await asked('fits', Number(largest))).volume?.capacity_bytes).toBe(largest);
    // The refused names are free, and the pool says that nothing more goes in.
    const full = await controller.getCapacity({ parameters });
    expect(await failure(asked('too-large', taken))).toContain(
      `now is ${full.available_capacity} bytes`,
    );
    expectClean(fabric);
    expect(fabric.contents().paths).toEqual(['first/data', 'fits/data']);
  });
});

describe('a full log', () => {
  test('refuses a volume, leaves nothing half-made, and has no capacity', async () => {
    await using fabric = new Fabric(64 * MiB);
    const { capacity } = fabric.check().log;
    {
      using pool = fabric.open();
      const directory = { uid: 0, gid: 0, mode: 0o755 };
      const entries = Array.from({ length: capacity - RESERVED_ENTRIES - 3 }, (_, at) => {
        return { type: 'mkdir', path: `d${at}`, ...directory } as const;
      });
      await pool.append(() => ({ entries, result: undefined }));
    }
    const { controller } = (await fabric.controller()).client;
    const small = { capacity_range: { required_bytes: MiB } };
    await controller.createVolume(create('last', small));
    const before = fabric.check();
    expect(await failure(controller.createVolume(create('more', small)))).toBe(
      `RESOURCE_EXHAUSTED: pool p: log: 2 more entries do not fit, 1 of ${capacity} are free; ` +
        'delete volumes, or make the pool anew with a longer log (mkfs --log-size)',
    );
    expect((await controller.getCapacity({})).available_capacity).toBe('0');
    expect(await controller.createVolume(create('last', small))).toMatchObject({
      volume: { volume_id: 'last' },
    });
    expect(fabric.check()).toEqual(before);
    expectClean(fabric);
    expect(fabric.contents().paths).toEqual(['last/data']);
  });
});
