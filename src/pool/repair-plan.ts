import { Fault } from '../base/errors.ts';
import type { Problem } from '../format/replica.ts';
import type { RawLog } from './raw-log.ts';
import { type LostNode, missingFrom } from './repair-report.ts';
import { type Fate, type StandIns, standIns } from './stand-ins.ts';

/** What an operator may ask for. Nothing of it: only say what is wrong. */
export interface RepairWish {
  /** End the log before its first damaged entry. */
  readonly cut?: boolean;
  /** Put stand-ins in place of the damaged entries. */
  readonly skip?: boolean;
  /** Give entries that are whole the number of their place. */
  readonly renumber?: boolean;
  /** Write the header's fixed fields anew. */
  readonly header?: boolean;
  /** How many entries the log has, where its header does not say it credibly. */
  readonly entries?: number;
  /** Skip also an entry whose memory cannot be told. */
  readonly unreserved?: boolean;
}

/** A way of repair, and what it costs. */
export interface Way {
  readonly way: 'header' | 'cut' | 'skip' | 'renumber';
  /** Why it cannot be taken as it is; null when it can. */
  readonly refusal: string | null;
  /** How many entries the log has afterwards. */
  readonly entries: number;
  readonly lost: readonly LostNode[];
  readonly returned: readonly LostNode[];
  readonly fates: readonly Fate[];
}

/** What is wrong with a log, and what can be done. */
export interface Diagnosis {
  readonly problems: readonly Problem[];
  /** How many entries the log has as it stands; null where that cannot be told. */
  readonly entries: number | null;
  /** Whole entries behind the end, which nobody reads: of no use, or the end is wrong. */
  readonly unrevealed: number;
  readonly ways: readonly Way[];
}

/** What is to be written. */
export interface RepairPlan {
  readonly problems: readonly Problem[];
  readonly images: ReadonlyMap<number, Uint8Array>;
  /** The next_index and next_seqnum to publish. */
  readonly entries: number;
  readonly rewriteHeader: boolean;
  readonly lost: readonly LostNode[];
  readonly returned: readonly LostNode[];
  readonly fates: readonly Fate[];
}

/** Says what is wrong and what each way of repair would cost. Reads only. */
export function diagnose(log: RawLog, wish: RepairWish = {}): Diagnosis {
  const { count, doubt } = countOf(log, wish.entries);
  const damaged = new Set(count === undefined ? [] : log.damagedBelow(count));
  const problems = problemsOf(log, damaged);
  const ways: Way[] = [];
  if (log.headerProblem !== undefined || log.nextSeqnum !== log.nextIndex) {
    const refusal = doubt ?? (damaged.size > 0 ? alsoDamaged(damaged) : null);
    ways.push({ way: 'header', refusal, entries: count ?? 0, ...endCost(log, count) });
  }
  if (count !== undefined && damaged.size > 0) {
    const skipped = standIns(log, count, damaged, false);
    const isAnyWhole = skipped.fates.some(({ isWhole }) => isWhole);
    const renumbered = isAnyWhole ? standIns(log, count, damaged, true) : skipped;
    ways.push({ way: 'cut', refusal: doubt ?? null, ...cutOf(log, damaged, renumbered) });
    const unknown = unreserved(skipped, wish);
    ways.push({ way: 'skip', refusal: doubt ?? unknown, entries: count, ...costOf(skipped) });
    if (renumbered.fates.some(({ isKept }, at) => isKept && !skipped.fates[at]?.isKept)) {
      const refusal = doubt ?? notRenumbered(renumbered);
      ways.push({ way: 'renumber', refusal, entries: count, ...costOf(renumbered) });
    }
  }
  const unrevealed = count === undefined ? 0 : log.validFrom(count);
  return { problems, entries: count ?? null, unrevealed, ways };
}

/** What to write for the wish. PRECONDITION, with the way out, where it cannot be taken. */
export function planRepair(log: RawLog, wish: RepairWish): RepairPlan {
  if (wish.cut && (wish.skip || wish.renumber)) {
    throw new Fault('INVALID', '--cut: goes with neither --skip nor --renumber; give one of them');
  }
  const { count, doubt } = countOf(log, wish.entries);
  if (count === undefined || doubt !== undefined) throw refuse(doubt ?? 'no entries');
  if (log.headerProblem !== undefined && !wish.header) {
    throw refuse(`${log.headerProblem}; give --header too, which writes it anew`);
  }
  const damaged = new Set(log.damagedBelow(count));
  const problems = problemsOf(log, damaged);
  if (problems.length === 0) throw refuse('nothing is damaged');
  const rewriteHeader = log.headerProblem !== undefined;
  const plan = { problems, rewriteHeader, images: new Map<number, Uint8Array>() };
  if (damaged.size === 0) return { ...plan, entries: count, ...endCost(log, count) };
  if (wish.cut) return { ...plan, ...cutOf(log, damaged, standIns(log, count, damaged, true)) };
  if (!wish.skip && !wish.renumber) throw refuse(alsoDamaged(damaged));
  const found = standIns(log, count, damaged, wish.renumber ?? false);
  const refusal = wish.skip ? unreserved(found, wish) : notRenumbered(found);
  if (refusal !== null) throw refuse(refusal);
  return { ...plan, images: found.images, entries: count, ...costOf(found) };
}

function refuse(why: string): Fault {
  return new Fault('PRECONDITION', `repair: ${why}; nothing was written`);
}

/**
 * How many entries the log has. A header that readers take says it. With any other, its two words
 * may be as wrong as the rest of it: they are believed only if they fit the entries.
 */
function countOf(
  log: RawLog,
  given: number | undefined,
): { count: number | undefined; doubt: string | undefined } {
  const { capacity, nextIndex, nextSeqnum } = log;
  if (given !== undefined && given > capacity) {
    throw new Fault('INVALID', `--entries: found ${given}, expected at most ${capacity}`);
  }
  if (log.headerProblem === undefined) {
    if (given === undefined || given === nextIndex) return { count: nextIndex, doubt: undefined };
    throw new Fault(
      'INVALID',
      `--entries: found ${given}, but the log's header is sound and says ${nextIndex}; leave it ` +
        'out',
    );
  }
  if (given !== undefined) return { count: given, doubt: undefined };
  const count = [nextIndex, nextSeqnum].find((word) => word <= capacity);
  const whole = log.validFrom(0);
  const hint =
    `${whole} entries from the start are whole; say with --entries how many the log had, by what ` +
    'you know of its files';
  if (count === undefined) {
    const found = `next_index is ${nextIndex}, next_seqnum ${nextSeqnum}`;
    return { count, doubt: `${found}, expected at most ${capacity}; ${hint}` };
  }
  if (!log.isValid(count)) return { count, doubt: undefined };
  return { count, doubt: `the log may have more than ${count} entries: ${hint}` };
}

function problemsOf(log: RawLog, damaged: ReadonlySet<number>): Problem[] {
  const problems: Problem[] = [];
  if (log.headerProblem !== undefined) {
    problems.push({ index: -1, code: 'LOG_HEADER', message: log.headerProblem });
  } else if (log.nextSeqnum !== log.nextIndex) {
    const message = `next_seqnum is ${log.nextSeqnum}, expected next_index, ${log.nextIndex}`;
    problems.push({ index: log.nextIndex, code: 'NEXT_SEQNUM', message });
  }
  for (const index of damaged) problems.push(log.damageAt(index));
  return problems;
}

/** What a header written anew hides: whole entries behind the end that it says. */
function endCost(log: RawLog, count: number | undefined) {
  const nothing = { lost: [], returned: [], fates: [] };
  const behind = log.headerProblem === undefined ? 0 : log.validFrom(count ?? 0);
  if (behind === 0) return nothing;
  const [without, all] = [log.replay(count ?? 0), log.replay((count ?? 0) + behind)];
  return { ...nothing, lost: missingFrom(without, all), returned: missingFrom(all, without) };
}

function cutOf(log: RawLog, damaged: ReadonlySet<number>, best: StandIns) {
  const [entries = 0] = damaged;
  const kept = log.replay(entries);
  const standIns = new Set(best.fates.filter(({ isKept }) => !isKept).map(({ index }) => index));
  // The best that could be had, less what stays; entries that have stand-ins by their own names.
  const lost = missingFrom(kept, best.replica)
    .filter(({ index }) => !standIns.has(index))
    .concat(best.lost)
    .sort((a, b) => a.index - b.index);
  return { entries, lost, returned: missingFrom(best.replica, kept), fates: [] };
}

function costOf({ lost, returned, fates }: StandIns) {
  return { lost, returned, fates };
}

function alsoDamaged(damaged: ReadonlySet<number>): string {
  const [first] = damaged;
  const more = damaged.size > 1 ? ` and ${damaged.size - 1} more` : '';
  return `entry ${first}${more} is damaged; give --cut or --skip too, as the dry run says`;
}

function unreserved({ fates }: StandIns, wish: RepairWish): string | null {
  const lost = fates.filter((fate) => !fate.isMemoryKnown);
  if (lost.length === 0 || wish.unreserved) return null;
  return (
    `entry ${lost.map(({ index }) => index).join(', ')}: all memory that it had cannot be told, ` +
    'so it cannot stay reserved; if no host has its file mapped, give --unreserved too'
  );
}

function notRenumbered({ fates }: StandIns): string | null {
  const lost = fates.filter((fate) => !fate.isKept);
  if (lost.length === 0) return null;
  const indices = lost.map(({ index }) => index).join(', ');
  return `entry ${indices}: cannot be kept by another number; give --skip too`;
}
