import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AttachmentFile } from '../../src/controller/attachment-file.ts';
import type { Attachment } from '../../src/controller/attachments.ts';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'famfs-attachments-'));
  path = join(folder, 'state', 'attachments.json');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function attachment(volumeId: string, nodeId: string, readonly = false): Attachment {
  return { volumeId, nodeId, readonly, mode: 'MULTI_NODE_MULTI_WRITER' };
}

describe('attachment file', () => {
  test('is empty at first, and makes its directory', async () => {
    expect((await AttachmentFile.open(path)).list()).toEqual([]);
  });

  test('gives a successor what its predecessor had recorded', async () => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    await file.add(attachment('v', 'b', true));
    await file.add(attachment('w', 'a'));
    await file.remove('w', 'a');
    const successor = await AttachmentFile.open(path);
    expect(successor.list()).toEqual([attachment('v', 'a'), attachment('v', 'b', true)]);
  });

  test('replaces what it has of the same volume and node', async () => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    await file.add(attachment('v', 'a', true));
    expect(file.list()).toEqual([attachment('v', 'a', true)]);
  });

  test('removes from all nodes, and is fine with nothing to remove', async () => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    await file.add(attachment('v', 'b'));
    await file.add(attachment('w', 'b'));
    await file.remove('v', undefined);
    await file.remove('v', undefined);
    expect((await AttachmentFile.open(path)).list()).toEqual([attachment('w', 'b')]);
  });

  test('keeps every one of many changes at once', async () => {
    const file = await AttachmentFile.open(path);
    const nodes = Array.from({ length: 50 }, (_, at) => `n${at}`);
    await Promise.all(nodes.map((node) => file.add(attachment('v', node))));
    const successor = await AttachmentFile.open(path);
    expect(successor.list().map((one) => one.nodeId)).toEqual(nodes);
  });

  test('ignores the half-written file that a killed controller left', async () => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    writeFileSync(`${path}.new`, '{"version":1,"attachm');
    const successor = await AttachmentFile.open(path);
    expect(successor.list()).toEqual([attachment('v', 'a')]);
    await successor.add(attachment('v', 'b'));
    expect(readdirSync(join(folder, 'state'))).toEqual(['attachments.json']);
  });

  test.each([
    ['cut off', '{"version":1,"attachm'],
    ['empty', ''],
    ['of a later version', '{"version":2,"attachments":[]}'],
    ['of another shape', '{"version":1,"attachments":[{"volumeId":"v"}]}'],
  ])('refuses a file that is %s as CORRUPT, and leaves it as it is', async (_, text) => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    writeFileSync(path, text);
    await expect(AttachmentFile.open(path)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(`${path}: not a list of attachments`),
    });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('does not count a change that could not be written, and takes the next one', async () => {
    const file = await AttachmentFile.open(path);
    await file.add(attachment('v', 'a'));
    const state = join(folder, 'state');
    rmSync(state, { recursive: true });
    await expect(file.add(attachment('v', 'b'))).rejects.toMatchObject({ code: 'IO' });
    expect(file.list()).toEqual([attachment('v', 'a')]);
    await AttachmentFile.open(path); // makes the directory again
    await file.add(attachment('v', 'c'));
    const successor = await AttachmentFile.open(path);
    expect(successor.list()).toEqual([attachment('v', 'a'), attachment('v', 'c')]);
  });
});
