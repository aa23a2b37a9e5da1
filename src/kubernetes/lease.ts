import type { Logger } from 'pino';
import { Fault, messageOf } from '../base/errors.ts';
import { isConflict, isMissing } from './api-fault.ts';
import type { Clock } from './clock.ts';
import { Complaint } from './complaint.ts';
import type { LeaseObject } from './objects.ts';

export interface LeaseTimes {
  /** Others wait for so long, after a change that they saw, before they take the lease. */
  readonly durationMs: number;
  /** The holder stops so long after it sent the last renewal that was answered. */
  readonly renewDeadlineMs: number;
  /** Between two renewals, and two looks at a lease that somebody else holds. */
  readonly retryMs: number;
}

/** As the core components of Kubernetes have it. */
export const LEASE_TIMES: LeaseTimes = {
  durationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryMs: 2_000,
};

/** The lease in the API server. */
export interface LeaseStore {
  /** Undefined where there is none. */
  get(): Promise<LeaseObject | undefined>;
  /** Conflict where there is one. */
  create(lease: LeaseObject): Promise<LeaseObject>;
  /** Conflict unless it is still of the resource version that is given. */
  replace(lease: LeaseObject): Promise<LeaseObject>;
}

/** What this process knows of the lease, all of it by its own clock. */
export interface Sighting {
  /** When the record was seen to be another than before. */
  readonly changedAt: number;
  readonly record: LeaseObject;
}

/** The rules that keep two holders apart, in one place, so that tests can break each. */
export interface LeaseRules {
  /** From when on who made the lease may act, where there was none. */
  actsFrom(createdAt: number, times: LeaseTimes): number;
  /** Until when a renewal counts that was sent and answered then. */
  validUntil(sentAt: number, answeredAt: number, times: LeaseTimes): number;
  /** From when on another may take the lease. */
  freeFrom(seen: Sighting, times: LeaseTimes): number;
  /** Whether a process that has the lease still may act. */
  mayAct(now: number, validUntil: number): boolean;
  /** What a renewal or a takeover is made from; its resource version makes it exclusive. */
  base(seen: Sighting): LeaseObject;
}

/**
 * Why no two processes act at once, however wrong their clocks are: a holder acts until
 * `renewDeadline` after it *sent* its last good renewal. Another saw that renewal, at the earliest,
 * when the server had it, so later, and waits `duration` from then; which is the longer one.
 * Both are lengths of time on one clock each: no clock is compared with another, nor with a time in
 * the record. What the times must cover is the drift of the clocks' rates and one append.
 * A lease that somebody deletes takes the holder's name with it: who makes it anew waits until a
 * holder that is not seen any more has stopped.
 */
export const LEASE_RULES: LeaseRules = {
  actsFrom: (createdAt, { renewDeadlineMs }) => createdAt + renewDeadlineMs,
  validUntil: (sentAt, _answeredAt, { renewDeadlineMs }) => sentAt + renewDeadlineMs,
  freeFrom: ({ changedAt, record }, { durationMs }) => {
    const named = (record.spec?.leaseDurationSeconds ?? 0) * 1000;
    return changedAt + Math.max(named, durationMs);
  },
  mayAct: (now, validUntil) => now < validUntil,
  base: ({ record }) => record,
};

export interface LeaseOptions {
  readonly name: string;
  readonly namespace: string;
  /** Of this process, and of no other ever. */
  readonly identity: string;
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly times?: LeaseTimes;
  readonly rules?: LeaseRules;
}

/**
 * A lease that this process holds once, or waits for. `run` takes and renews it; who acts under it
 * asks `assertHeld` at the last moment. Once lost it stays lost: the process ends, and another one
 * begins anew, since who was cut off does not know what it missed.
 */
export class Lease {
  readonly name: string;
  /** Resolves once this process stands in the lease; it may have to wait before it acts. */
  readonly taken: Promise<void>;
  /** Resolves once the lease is held. */
  readonly acquired: Promise<void>;
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #rules: LeaseRules;
  #stepping: Promise<void> = Promise.resolve();
  #seen: Sighting | undefined;
  #isTaken = false;
  #actsFrom = Number.NEGATIVE_INFINITY;
  #validUntil: number | undefined;
  #lostBecause: string | undefined;
  #resolveTaken: () => void = () => {};
  #resolveAcquired: () => void = () => {};

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.name = options.name;
    this.#times = options.times ?? LEASE_TIMES;
    this.#rules = options.rules ?? LEASE_RULES;
    this.taken = new Promise((resolve) => {
      this.#resolveTaken = resolve;
    });
    this.acquired = new Promise((resolve) => {
      this.#resolveAcquired = resolve;
    });
  }

  get isTaken(): boolean {
    return this.#isTaken && this.#lostBecause === undefined;
  }

  get isHeld(): boolean {
    if (this.#validUntil === undefined || this.#lostBecause !== undefined) return false;
    return this.#rules.mayAct(this.#options.clock.now(), this.#validUntil);
  }

  /** UNAVAILABLE, naming the holder, where this process may not act. */
  assertHeld(): void {
    if (this.isHeld) return;
    const holder = this.#seen?.record.spec?.holderIdentity;
    const who = this.#lostBecause ?? (holder ? `${holder} holds it` : 'nobody holds it yet');
    throw new Fault(
      'UNAVAILABLE',
      `lease ${this.name}: this controller does not hold it (${who}); retry, the holder answers`,
    );
  }

  /** Takes the lease and renews it until it is lost: resolves with why. Or until the signal. */
  async run(signal: AbortSignal): Promise<string> {
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const deadline = this.#untilDeadline(either);
    const renewing = this.#renew(either);
    const why = await Promise.race([deadline, renewing]);
    ended.abort();
    if (!signal.aborted) this.#lostBecause = why;
    return why;
  }

  /**
   * Lets another have the lease at once. To be called when nothing acts under it any more; what
   * goes wrong is of no consequence, since the lease runs out.
   */
  async release(): Promise<void> {
    const wasHeld = this.isHeld;
    this.#lostBecause ??= 'it was released';
    // A renewal under way would change the record under the release.
    await this.#stepping.catch(() => {});
    const seen = this.#seen;
    if (!wasHeld || seen === undefined) return;
    try {
      const { metadata, spec } = seen.record;
      const empty = { ...spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await this.#options.store.replace({ ...seen.record, metadata, spec: empty });
    } catch (error) {
      this.#options.log.debug(`lease ${this.name}: not released: ${messageOf(error)}`);
    }
  }

  /** Resolves when no renewal has come in time, also while one is still under way. */
  async #untilDeadline(signal: AbortSignal): Promise<string> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const until = this.#validUntil ?? clock.now() + this.#times.retryMs;
      await clock.sleep(Math.max(1, until - clock.now()), signal);
      if (this.#validUntil !== undefined && !this.isHeld) break;
    }
    if (signal.aborted) return 'this process ends';
    return `it was not renewed within ${this.#times.renewDeadlineMs} ms`;
  }

  async #renew(signal: AbortSignal): Promise<string> {
    const { clock, log, identity } = this.#options;
    const complaint = new Complaint(log, `lease ${this.name}`);
    while (!signal.aborted) {
      try {
        this.#stepping = this.#step();
        await this.#stepping;
        complaint.worked();
      } catch (error) {
        if (!isConflict(error)) complaint.failed(error);
      }
      const holder = this.#seen?.record.spec?.holderIdentity ?? '';
      if (this.#isTaken && holder !== identity) {
        return `${holder || 'nobody'} holds it now`;
      }
      await clock.sleep(this.#times.retryMs, signal);
    }
    return 'this process ends';
  }

  /** One try to take or renew; after a conflict, and at first, a look at what is there. */
  async #step(): Promise<void> {
    const { store, clock, identity } = this.#options;
    if (this.#validUntil === undefined || this.#seen === undefined) {
      this.#see(await store.get());
    }
    const seen = this.#seen;
    const isMine = seen?.record.spec?.holderIdentity === identity;
    const isFree = !seen?.record.spec?.holderIdentity;
    const now = clock.now();
    if (seen !== undefined && !isMine && !isFree) {
      if (now < this.#rules.freeFrom(seen, this.#times)) return;
    }
    const sentAt = clock.now();
    try {
      const wanted = this.#wanted(seen);
      if (seen === undefined) {
        this.#see(await store.create(wanted));
        this.#actsFrom = this.#rules.actsFrom(clock.now(), this.#times);
      } else {
        this.#see(await store.replace(wanted));
      }
      this.#hold(this.#rules.validUntil(sentAt, clock.now(), this.#times));
    } catch (error) {
      if (isConflict(error) || isMissing(error)) this.#see(await store.get());
      throw error;
    }
  }

  #hold(validUntil: number): void {
    this.#isTaken = true;
    this.#resolveTaken();
    if (this.#options.clock.now() < this.#actsFrom) return;
    const isFirst = this.#validUntil === undefined;
    this.#validUntil = validUntil;
    if (!isFirst) return;
    this.#options.log.info({ lease: this.name, identity: this.#options.identity }, 'leading');
    this.#resolveAcquired();
  }

  #see(record: LeaseObject | undefined): void {
    if (record === undefined) {
      this.#seen = undefined;
      return;
    }
    const before = this.#seen?.record.metadata.resourceVersion;
    if (this.#seen !== undefined && before === record.metadata.resourceVersion) return;
    this.#seen = { record, changedAt: this.#options.clock.now() };
  }

  #wanted(seen: Sighting | undefined): LeaseObject {
    const { name, namespace, identity } = this.#options;
    const now = this.#options.clock.date().toISOString().replace('Z', '000Z');
    const base = seen === undefined ? undefined : this.#rules.base(seen);
    const before = base?.spec;
    const isMine = before?.holderIdentity === identity;
    const transitions = before?.leaseTransitions ?? 0;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: base?.metadata ?? { name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#times.durationMs / 1000),
        acquireTime: isMine ? (before?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: isMine || base === undefined ? transitions : transitions + 1,
      },
    };
  }
}
