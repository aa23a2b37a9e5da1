import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { AttachmentFile } from '../../src/controller/attachment-file.ts';
import type { Attachment, Attachments } from '../../src/controller/attachments.ts';
import { KubernetesRecords } from './kubernetes-records.ts';

interface Records extends AsyncDisposable {
  /** The record as a process that begins now has it. */
  open(): Promise<Attachments>;
}

async function fileRecords(): Promise<Records> {
  const folder = mkdtempSync(join(tmpdir(), 'famfs-attachments-'));
  return {
    open: () => AttachmentFile.open(join(folder, 'attachments.json')),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** With the objects that Kubernetes would have made before it asks for any of this. */
async function kubernetesRecords(): Promise<Records> {
  const records = await KubernetesRecords.make();
  for (const volume of ['v', 'w']) {
    records.addPersistentVolume(volume);
    for (const node of ['a', 'b']) records.addVolumeAttachment(volume, node);
  }
  return records;
}

function attachment(volumeId: string, nodeId: string, readonly = false): Attachment {
  return { volumeId, nodeId, readonly, mode: 'MULTI_NODE_MULTI_WRITER' };
}

async function listed(attachments: Attachments): Promise<Attachment[]> {
  const key = ({ volumeId, nodeId }: Attachment) => `${volumeId} ${nodeId}`;
  return [...(await attachments.list())].sort((one, two) => (key(one) < key(two) ? -1 : 1));
}

describe.each([
  ['in a file', fileRecords],
  ['in Kubernetes', kubernetesRecords],
])('attachments %s', (_, make) => {
  test('are none at first', async () => {
    await using records = await make();
    expect(await listed(await records.open())).toEqual([]);
  });

  test('are there for a successor', async () => {
    await using records = await make();
    const attachments = await records.open();
    await attachments.add(attachment('v', 'a'));
    await attachments.add(attachment('v', 'b', true));
    await attachments.add(attachment('w', 'a'));
    await attachments.remove('w', 'a');
    const expected = [attachment('v', 'a'), attachment('v', 'b', true)];
    expect(await listed(attachments)).toEqual(expected);
    expect(await listed(await records.open())).toEqual(expected);
  });

  test('replace what is there of the same volume and node', async () => {
    await using records = await make();
    const attachments = await records.open();
    await attachments.add(attachment('v', 'a'));
    await attachments.add(attachment('v', 'a', true));
    expect(await listed(attachments)).toEqual([attachment('v', 'a', true)]);
  });

  test('go from all nodes at once, and it is fine when there are none', async () => {
    await using records = await make();
    const attachments = await records.open();
    await attachments.add(attachment('v', 'a'));
    await attachments.add(attachment('v', 'b'));
    await attachments.add(attachment('w', 'b'));
    await attachments.remove('v', undefined);
    await attachments.remove('v', undefined);
    await attachments.remove('v', 'a');
    expect(await listed(attachments)).toEqual([attachment('w', 'b')]);
  });

  test('come back after they went', async () => {
    await using records = await make();
    const attachments = await records.open();
    await attachments.add(attachment('v', 'a'));
    await attachments.remove('v', 'a');
    await attachments.add(attachment('v', 'a', true));
    expect(await listed(attachments)).toEqual([attachment('v', 'a', true)]);
  });
});
