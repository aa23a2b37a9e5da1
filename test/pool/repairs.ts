import { expect } from '@jest/globals';
import { MiB } from '../../src/base/numbers.ts';
import type { NewEntry } from '../../src/format/log-entry.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { type RepairOutcome, repairLog } from '../../src/pool/repair.ts';
import { diagnose, type RepairWish, type Way } from '../../src/pool/repair-plan.ts';
import type { LostNode } from '../../src/pool/repair-report.ts';
import {
  appendDirectory,
  directory,
  expectReferenceRules,
  file,
  type LogMemory,
  MASTER,
} from './log-memory.ts';

/** Where the data of these logs starts, and the length of a file of theirs. */
export const BASE = 10 * MiB;
export const UNIT = 2 * MiB;

export function repair(memory: LogMemory, wish: RepairWish, master = MASTER): RepairOutcome {
  const before = memory.bytes.slice();
  return repairLog(memory, wish, master, () => {
    expect(Buffer.compare(memory.bytes, before)).toBe(0); // saved before anything is stored
  });
}

export function way(memory: LogMemory, name: Way['way'], wish: RepairWish = {}): Way {
  const found = diagnose(new RawLog(memory), wish).ways.find((one) => one.way === name);
  if (found === undefined) throw new Error(`no way ${name}`);
  return found;
}

export function names(nodes: readonly LostNode[]): string[] {
  return nodes.map(({ type, path, sizeBytes }) => `${type} ${path} ${sizeBytes}`);
}

/** The log is one that every reader takes to its end, and that can be appended to. */
export async function expectSound(memory: LogMemory): Promise<void> {
  expectReferenceRules(memory);
  const { replica } = new LogFollower(memory);
  expect(replica.damage).toBeUndefined();
  expect(replica.problems).toEqual([]);
  const copy = memory.copy();
  expect(await appendDirectory(copy.writer().writer, 'appended')).toBe(replica.position);
  expectReferenceRules(copy);
}

/** What is free, as our allocator has it. */
export function freeBytes(memory: LogMemory): number {
  return new LogFollower(memory).replica.space.freeBytes;
}

/** A volume `v<at>`: a directory and its file, 2 MiB each. */
export function volume(at: number): NewEntry[] {
  return [directory(`v${at}`), file(`v${at}/data`, BASE + at * UNIT)];
}
