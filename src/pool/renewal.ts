import { Fault } from '../base/errors.ts';
import type { Superblock } from '../format/superblock.ts';
import type { SharedMemory } from '../native/shared-memory.ts';
import { ControlArea } from './control-area.ts';
import { hostIdentity } from './identity.ts';
import { lastOwner, Ownership } from './ownership.ts';

/**
 * A change of a log by other means than appending, by this host, under the lock: to be made before
 * the first store, and finished once the log is as it shall be. Followers then replay it anew.
 * READ_ONLY, before anything is written, where another host owns the log.
 */
export class Renewal {
  readonly #control: ControlArea;
  readonly #ownership: Ownership;

  constructor(memory: SharedMemory, superblock: Superblock, host = hostIdentity()) {
    this.#control = new ControlArea(memory, superblock.fsUuid);
    const rules = { mayTakeOver: () => {}, isFenced: () => false };
    this.#ownership = new Ownership(this.#control, host, rules);
    const owner = lastOwner(this.#control.slots())?.record;
    if (owner === undefined || owner.hostId === host.id) {
      // What is stored from now on may be left in this host's caches.
      if (this.#ownership.isOwner(this.#control.view())) this.#ownership.open();
      return;
    }
    throw new Fault(
      'READ_ONLY',
      `log: host ${owner.hostName} writes it; nothing was written; change it there, or, when ` +
        'that host has stopped for good, run "famfs-csi adopt" here first',
    );
  }

  /** The log ends at `entries` now. In a pool that nobody took over yet there is nobody to tell. */
  finish(entries: number): void {
    const control = this.#control;
    const ownership = this.#ownership;
    if (control.owner() === 0) return;
    if (!ownership.isOwner(control.view())) ownership.complete(ownership.claim(), entries);
    ownership.commit(entries);
    const generation = ownership.nextGeneration();
    ownership.change({ generation, voids: [], isFirstVoid: false });
  }
}
