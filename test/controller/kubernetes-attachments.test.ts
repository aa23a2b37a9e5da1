import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { Fault } from '../../src/base/errors.ts';
import type { Attachment } from '../../src/controller/attachments.ts';
import { PATHS, type VolumeAttachment } from '../../src/kubernetes/objects.ts';
import { rejection } from '../support/caught.ts';
import { eventually } from '../support/test-cluster.ts';
import { DRIVER, KubernetesRecords } from './kubernetes-records.ts';

const ANNOTATION = `${DRIVER}/attachment`;

function attachment(volumeId: string, nodeId: string): Attachment {
  return { volumeId, nodeId, readonly: false, mode: 'SINGLE_NODE_WRITER' };
}

describe('attachments in Kubernetes', () => {
  test('take a wish, an object that is not granted yet, for nothing that excludes', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    records.addVolumeAttachment('v', 'a');
    records.addVolumeAttachment('v', 'b');
    const attachments = await records.open();
    expect(await attachments.list()).toEqual([]);
    await attachments.add(attachment('v', 'a'));
    expect(await attachments.list()).toEqual([attachment('v', 'a')]);
  });

  test('hold from the grant on, before the attacher has written that it is attached', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    const name = records.addVolumeAttachment('v', 'a');
    await (await records.open()).add(attachment('v', 'a'));
    const object = records.server.store.find<VolumeAttachment>(PATHS.volumeAttachments, name);
    expect(object?.status?.attached).toBe(false);
    expect(await (await records.open()).list()).toEqual([attachment('v', 'a')]);
  });

  test('are no more once detached, though the object is there and says attached', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    records.addVolumeAttachment('v', 'a', { attached: true });
    const attachments = await records.open();
    await attachments.remove('v', 'a');
    expect(await attachments.list()).toEqual([]);
  });

  test.each([
    [['ReadWriteOnce'], 'SINGLE_NODE_MULTI_WRITER'],
    [['ReadWriteOncePod'], 'SINGLE_NODE_SINGLE_WRITER'],
    [['ReadOnlyMany'], 'MULTI_NODE_READER_ONLY'],
    [['ReadWriteOnce', 'ReadWriteMany'], 'MULTI_NODE_MULTI_WRITER'],
  ] as const)(
    'are the widest of %s where nobody wrote down what was granted',
    async (modes, mode) => {
      await using records = await KubernetesRecords.make();
      records.addPersistentVolume('v', 'v', { accessModes: modes });
      records.addVolumeAttachment('v', 'a', { attached: true });
      const expected = { volumeId: 'v', nodeId: 'a', readonly: false, mode };
      expect(await (await records.open()).list()).toEqual([expected]);
    },
  );

  test.each(['', '{', '{"volumeId":"v"}', '[]'])(
    'take the annotation %s, which nobody here wrote, for an attachment of the widest kind',
    async (text) => {
      await using records = await KubernetesRecords.make();
      records.addPersistentVolume('v');
      records.addVolumeAttachment('v', 'a', { annotations: { [ANNOTATION]: text } });
      expect(await (await records.open()).list()).toMatchObject([
        { volumeId: 'v', nodeId: 'a', mode: 'MULTI_NODE_MULTI_WRITER' },
      ]);
    },
  );

  test('still count when the PersistentVolume is gone by force', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    records.addVolumeAttachment('v', 'a');
    await (await records.open()).add(attachment('v', 'a'));
    records.server.store.delete(PATHS.persistentVolumes, 'v');
    expect(await (await records.open()).list()).toEqual([attachment('v', 'a')]);
  });

  test('of other drivers are none of ours', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    records.addVolumeAttachment('v', 'a', { attacher: 'other.example', attached: true });
    const attachments = await records.open();
    expect(await attachments.list()).toEqual([]);
    const found = await rejection(attachments.add(attachment('v', 'a')));
    expect(found.code).toBe('PRECONDITION');
  });

  test('are decided on by a list that is made anew, not by the copy', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    const [here, there] = [await records.open(), await records.open()];
    records.addVolumeAttachment('v', 'a');
    // From now on no watch tells anybody anything.
    records.server.before = ({ verb }) => (verb === 'watch' ? new Promise(() => {}) : undefined);
    records.server.dropWatches();
    await there.add(attachment('v', 'a'));
    expect(await here.list()).toEqual([attachment('v', 'a')]);
    expect(await here.list({ mayLag: true })).not.toEqual([attachment('v', 'a')]);
  });

  test('are told of without asking the server, a little later', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    records.addVolumeAttachment('v', 'a');
    const attachments = await records.open();
    await attachments.add(attachment('v', 'a'));
    await eventually('the copy has it', async () =>
      (await attachments.list({ mayLag: true })).length === 1 ? true : undefined,
    );
    const before = records.server.seen.length;
    await attachments.list({ mayLag: true });
    expect(records.server.seen.length).toBe(before);
  });

  test('find a static volume, whose PersistentVolume has a name of its own', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('my-data', 'fast/data');
    records.addPersistentVolume('other', 'fast/other');
    records.addVolumeAttachment('other', 'a');
    const name = records.addVolumeAttachment('my-data', 'a');
    await (await records.open()).add(attachment('fast/data', 'a'));
    const object = records.server.store.find(PATHS.volumeAttachments, name);
    expect(object?.metadata.annotations?.[ANNOTATION]).toContain('fast/data');
  });

  test('cost one look where the object has the name that Kubernetes gives it', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    const hash = createHash('sha256').update(`v${DRIVER}a`).digest('hex');
    const metadata = { name: `csi-${hash}` };
    const spec = { attacher: DRIVER, nodeName: 'a', source: { persistentVolumeName: 'v' } };
    records.server.store.put<VolumeAttachment>(PATHS.volumeAttachments, { metadata, spec });
    const attachments = await records.open();
    const before = records.server.seen.length;
    await attachments.add(attachment('v', 'a'));
    const seen = records.server.seen.slice(before);
    const asked = seen.map(({ verb, resource }) => [verb, resource]);
    expect(asked.filter(([verb]) => verb !== 'watch')).toEqual([
      ['get', 'volumeattachments'],
      ['get', 'persistentvolumes'],
      ['patch', 'volumeattachments'],
    ]);
  });

  test('are not written on an object that was replaced meanwhile', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    const name = records.addVolumeAttachment('v', 'a');
    const attachments = await records.open();
    records.server.before = ({ verb }) => {
      if (verb !== 'patch') return undefined;
      records.server.store.delete(PATHS.volumeAttachments, name);
      records.addVolumeAttachment('v', 'a');
      return undefined;
    };
    expect((await rejection(attachments.add(attachment('v', 'a')))).code).toBe('UNAVAILABLE');
    expect(await attachments.list()).toEqual([]);
  });

  test('are not written, nor told of as written, by who has lost the lease meanwhile', async () => {
    await using records = await KubernetesRecords.make();
    records.addPersistentVolume('v');
    const name = records.addVolumeAttachment('v', 'a');
    const attachments = await records.open();
    const annotations = () =>
      records.server.store.find(PATHS.volumeAttachments, name)?.metadata.annotations;
    const lost = () => {
      throw new Fault('UNAVAILABLE', 'the lease ran out');
    };
    records.assertLeading = lost;
    expect((await rejection(attachments.add(attachment('v', 'a')))).message).toMatch(/ran out/);
    expect(annotations()).toEqual({});
    records.assertLeading = () => {};
    records.server.after = ({ verb }) => {
      if (verb === 'patch') records.assertLeading = lost;
      return undefined;
    };
    expect((await rejection(attachments.add(attachment('v', 'a')))).message).toMatch(/ran out/);
    expect(Object.keys(annotations() ?? {})).toEqual([ANNOTATION]);
  });

  test('are UNAVAILABLE, not none, while the server is gone', async () => {
    await using records = await KubernetesRecords.make();
    const attachments = await records.open();
    records.server.isGone = true;
    expect((await rejection(attachments.list())).code).toBe('UNAVAILABLE');
  });
});

describe('nodes in Kubernetes', () => {
  test('are those that kubelet has registered with this driver', async () => {
    await using records = await KubernetesRecords.make();
    records.server.store.put(PATHS.csiNodes, { metadata: { name: 'bare' } });
    const nodes = await records.nodes();
    expect(await nodes.has('a')).toBe(true);
    expect(await nodes.has('bare')).toBe(false);
    expect(await nodes.has('x')).toBe(false);
  });

  test('are known the moment they register', async () => {
    await using records = await KubernetesRecords.make();
    const nodes = await records.nodes();
    records.server.before = ({ verb }) => (verb === 'watch' ? new Promise(() => {}) : undefined);
    records.server.dropWatches();
    records.addNode('late');
    expect(await nodes.has('late')).toBe(true);
  });

  test('may have an id that is not their name', async () => {
    await using records = await KubernetesRecords.make();
    records.addNode('host-7', 'id-7');
    const nodes = await records.nodes();
    expect(await nodes.has('id-7')).toBe(true);
    expect(await nodes.nameOf('id-7')).toBe('host-7');
    expect(await nodes.idOf('host-7')).toBe('id-7');
    expect(await nodes.idOf('gone')).toBe('gone');
  });
});
