import { isFault } from '../base/errors.ts';
import {
  decodeSuperblock,
  masterWords,
  SUPERBLOCK_BYTES,
  withMaster,
} from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';

/**
 * Makes another system the pool's master, as the reference tools and this driver read it. The
 * caller owns the log. For a moment, and after a crash in it until `finishReplacement`, the
 * superblock is CORRUPT for who opens the pool; who has it open does not look there.
 */
export function replaceMaster(memory: SharedMemory, systemUuid: string): void {
  const bytes = memory.read(0, SUPERBLOCK_BYTES);
  for (const { offset, value } of masterWords(bytes, systemUuid)) memory.publish(offset, value);
}

/** Finishes what `replaceMaster` was cut short in for the same system; else changes nothing. */
export function finishReplacement(memory: SharedMemory, systemUuid: string): void {
  const bytes = memory.read(0, Math.min(SUPERBLOCK_BYTES, memory.lengthBytes));
  if (!isCorrupt(bytes) || bytes.length < SUPERBLOCK_BYTES) return;
  if (!isCorrupt(withMaster(bytes, systemUuid))) replaceMaster(memory, systemUuid);
}

function isCorrupt(bytes: Uint8Array): boolean {
  try {
    decodeSuperblock(bytes);
    return false;
  } catch (error) {
    if (isFault(error)) return true;
    throw error;
  }
}
