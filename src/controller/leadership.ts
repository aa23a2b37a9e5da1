import type { Handlers } from '../csi/rpc.ts';
import type { Lease } from '../kubernetes/lease.ts';

/** Whether this process is the one that may write; see `Lease`. */
export interface Leadership {
  readonly isLeading: boolean;
  /** UNAVAILABLE, naming who leads, where this process does not. */
  assertLeading(): void;
}

/** Without Kubernetes there is one controller, and it leads. */
export const ALWAYS: Leadership = { isLeading: true, assertLeading: () => {} };

/**
 * One lease for each pool, taken in one order: a process that does not have the first does not ask
 * for the next, so two processes with the same pools cannot wait for each other.
 */
export class Leases implements Leadership {
  readonly #leases: readonly Lease[];

  constructor(leases: readonly Lease[]) {
    this.#leases = [...leases].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  get isLeading(): boolean {
    return this.#leases.every((lease) => lease.isHeld);
  }

  assertLeading(): void {
    for (const lease of this.#leases) lease.assertHeld();
  }

  /** Takes and renews the leases; resolves with why when one is lost, or the signal aborts. */
  async run(signal: AbortSignal): Promise<string> {
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const running: Promise<string>[] = [];
    for (const lease of this.#leases) {
      running.push(lease.run(either).then((why) => `lease ${lease.name}: ${why}`));
      await Promise.race([lease.taken, ...running]);
      if (!lease.isTaken) break;
    }
    const why = await Promise.race(running);
    ended.abort();
    return why;
  }

  /** Lets another lead at once; to be called when nothing is written any more. */
  async release(): Promise<void> {
    await Promise.all(this.#leases.map((lease) => lease.release()));
  }
}

/** The CSI calls that change something; others only tell what is there, on any controller. */
const WRITING = [
  'createVolume',
  'deleteVolume',
  'controllerPublishVolume',
  'controllerUnpublishVolume',
] as const satisfies readonly (keyof Handlers<'Controller'>)[];

/** The same service, whose calls that change something are refused where another one leads. */
export function whileLeading(
  service: Handlers<'Controller'>,
  leadership: Leadership,
): Handlers<'Controller'> {
  const guarded: Record<string, unknown> = { ...service };
  for (const name of WRITING) {
    const handler = service[name] as ((...call: unknown[]) => unknown) | undefined;
    if (handler === undefined) continue;
    guarded[name] = (...call: unknown[]) => {
      leadership.assertLeading();
      return handler(...call);
    };
  }
  return guarded as Handlers<'Controller'>;
}
