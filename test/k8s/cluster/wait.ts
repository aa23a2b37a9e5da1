import { eventually } from '../../support/test-cluster.ts';
import { Ended } from './processes.ts';

export interface Patience {
  readonly patienceMs?: number;
  readonly everyMs?: number;
}

/** `eventually`, as long as a cluster takes; a process that has ended is not waited for. */
export function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  { patienceMs = 120_000, everyMs = 250 }: Patience = {},
): Promise<T> {
  const isFinal = (error: unknown) => error instanceof Ended;
  return eventually(what, look, patienceMs, { everyMs, isFinal });
}
