import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import {
  ENTRY_BYTES,
  entryOffset,
  LOG_OFFSET,
  NEXT_INDEX_OFFSET,
} from '../../../src/format/log-header.ts';
import { step } from '../../vm/story.ts';
import { told } from './refusals.ts';
import { eventually, POOL, poolStatus, type Story } from './story.ts';

/** Lets the log claim an entry that nobody wrote, for as long as `what` takes. */
async function withUnwrittenEntry(device: string, what: () => Promise<void>): Promise<void> {
  const fd = openSync(device, 'r+');
  const word = Buffer.alloc(8);
  const at = LOG_OFFSET + NEXT_INDEX_OFFSET;
  try {
    readSync(fd, word, 0, 8, at);
    const next = word.readBigUInt64LE();
    // Where a log was rewritten, an entry of the one before may stand behind its end.
    writeSync(
      fd,
      Buffer.alloc(ENTRY_BYTES),
      0,
      ENTRY_BYTES,
      LOG_OFFSET + entryOffset(Number(next)),
    );
    word.writeBigUInt64LE(next + 1n);
    writeSync(fd, word, 0, 8, at);
    try {
      await what();
    } finally {
      word.writeBigUInt64LE(next);
      writeSync(fd, word, 0, 8, at);
    }
  } finally {
    closeSync(fd);
  }
}

/** Last of what uses the pool: to its controllers it stays damaged. */
export function damage(story: Story): void {
  step('a damaged log is an event on the pool, whose status says what to do', async () => {
    const device = join(story.cluster.fabric, `${POOL}.fabric`);
    await withUnwrittenEntry(device, async () => {
      const event = await told(story, 'PoolDamaged', 'FamfsPool');
      expect(event.involvedObject.name).toBe(POOL);
      const status = await eventually(story, 'the status says it', async () => {
        const found = await poolStatus(story);
        return found.health === 'Healthy' ? undefined : found;
      });
      expect(status.message).toContain('famfs-csi repair');
    });
    return undefined;
  });
}
