import { existsSync } from 'node:fs';
import { CountTable } from '../../src/native/count-table.ts';
import type { Kernel } from './kernel.ts';

export type Counts = Record<number, { lookups: number; opens: number }>;

/** What the kernel refers to. The root is not counted: no LOOKUP gave it. */
export function countsOfKernel(kernel: Kernel): Counts {
  const counts: Counts = {};
  for (const { ino, nlookup, files } of kernel.inodes.all()) {
    if (ino !== kernel.inodes.root.ino) counts[ino] = { lookups: nlookup, opens: files };
  }
  return counts;
}

/** What a server has left in its table, for the next one. */
export function countsOfTable(path: string): Counts {
  if (!existsSync(path)) throw new Error(`${path}: there is no table`);
  using table = new CountTable(path);
  return Object.fromEntries(table.entries());
}
