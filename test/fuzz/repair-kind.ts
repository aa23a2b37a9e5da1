import { decodeSuperblock } from '../../src/format/superblock.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { RawLog } from '../../src/pool/raw-log.ts';
import { recover } from '../../src/pool/recovery.ts';
import { repairLog } from '../../src/pool/repair.ts';
import { diagnose, type RepairPlan, type RepairWish } from '../../src/pool/repair-plan.ts';
import { type AnyKind, anyKind } from './kind.ts';
import { authoredImage, continuedVector, simplerImages } from './log-images.ts';
import { replay, showImage } from './log-kinds.ts';
import { HEADER, type LogImage, setWord } from './media.ts';
import { Model, modelPrimary } from './model.ts';
import { PatchedMemory } from './patched-memory.ts';
import type { Random } from './random.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';
import { flipSome, spoilField } from './words.ts';

/** A repair reads every slot that the header claims: longer logs are for the property tests. */
const SLOTS_MAX = 1000;

const WAYS: readonly RepairWish[] = [
  { cut: true },
  { skip: true },
  { renumber: true },
  { skip: true, renumber: true },
  { cut: true, skip: true },
  {},
];

/** A hostile log with some of its entries damaged as well, and now and then its header. */
function damagedImage(random: Random): LogImage {
  for (;;) {
    const image = random.oneIn(4) ? continuedVector(random) : authoredImage(random);
    const entries = image.entries.map((entry) => entry.slice());
    const header = image.header.slice();
    for (let left = random.below(4); left > 0 && entries.length > 0; left--) {
      flipSome(random, random.pick(entries));
    }
    if (random.oneIn(8)) flipSome(random, header);
    if (random.oneIn(8)) spoilField(random, header, HEADER.nextSeqnum);
    if (random.oneIn(8)) setWord(header, HEADER.nextIndex, random.below(entries.length + 9));
    const damaged = { ...image, entries, header };
    if (isShort(damaged)) return damaged;
  }
}

function isShort({ header, entries }: LogImage): boolean {
  const view = new DataView(header.buffer);
  const words = [HEADER.nextIndex, HEADER.nextSeqnum].map(([at]) => view.getBigUint64(at, true));
  const isClaimed = words.some((word) => word > SLOTS_MAX && word < 2 ** 53);
  return !isClaimed && entries.length < SLOTS_MAX;
}

function repair(image: LogImage, random: Random, tally: Tally): void {
  if (modelPrimary(image.superblock) === undefined) return;
  const model = Model.of(image);
  if (model !== undefined && !model.damaged) {
    checkRecovery(new PatchedMemory(image), model.nextIndex);
    tally.count('repair', 'recovered');
  }
  const memory = new PatchedMemory(image);
  const wish: RepairWish = {
    ...random.pick(WAYS),
    header: random.oneIn(2),
    unreserved: random.oneIn(2),
    ...(random.oneIn(6) ? { entries: random.below(image.entries.length + 3) } : {}),
  };
  let plan: RepairPlan;
  try {
    const log = new RawLog(memory);
    const { problems, ways } = diagnose(log);
    must(problems.length <= SLOTS_MAX + 1, `${problems.length} problems`);
    for (const { way, refusal } of ways) {
      tally.count('repair way', refusal === null ? way : `${way} refused`);
    }
    mustEqual(memory.stores, 0, 'stores of a diagnosis');
    const { systemUuid } = decodeSuperblock(image.superblock);
    ({ plan } = repairLog(memory, wish, systemUuid, () => mustEqual(memory.stores, 0, 'stores')));
  } catch (error) {
    const fault = foreseen(error);
    const isRefusal = fault.code === 'PRECONDITION' || fault.code === 'INVALID';
    const isNoPool = image.memoryBytes < decodeSuperblock(image.superblock).deviceSizeBytes;
    must(isRefusal || isNoPool, () => `${fault.code}: ${fault.message}`);
    mustEqual(memory.stores, 0, 'stores of a repair that is refused');
    tally.count('repair', fault.code);
    return;
  }
  tally.count('repair', 'done');
  if (model?.damaged && wish.cut) mustEqual(plan.entries, model.position, 'entries left by a cut');
  const after = memory.image(plan.entries, image.superblock);
  checkRepaired(image, after, plan);
  replay(after, random, tally);
  checkRecovery(memory, plan.entries);
}

/** What was whole before the first damage is as it was; what was put in place is accepted. */
function checkRepaired(before: LogImage, after: LogImage, plan: RepairPlan): void {
  const model = Model.of(after);
  if (model === undefined) throw new Error('the repaired log cannot be opened');
  must(!model.damaged, `the repaired log is damaged at ${model.position}`);
  mustEqual(model.position, plan.entries, 'entries of the repaired log');
  for (const index of plan.images.keys()) {
    const reasons = model.reasons.get(index);
    must(reasons === undefined, () => `stand-in ${index} is rejected: ${[...(reasons ?? [])]}`);
  }
  const header = after.header.slice();
  const until = Math.min(plan.entries, ...plan.images.keys());
  setWord(header, HEADER.nextIndex, until);
  const old = Model.of({ ...before, header });
  const kept = Model.of({ ...after, header });
  mustEqual(stateOf(old), stateOf(kept), 'the log before the damage');
  for (const [devindex, { used }] of (old?.devices ?? []).entries()) {
    used.starts.forEach((start, at) => {
      const end = used.ends[at] as number;
      const gaps = model.devices[devindex]?.used.gaps(start, end) ?? [[start, end]];
      mustEqual(gaps.length, 0, `memory of device ${devindex} given away from ${start} on`);
    });
  }
}

function stateOf(model: Model | undefined): string {
  return JSON.stringify([model?.position, model?.applied, [...(model?.nodes ?? [])]]);
}

/** A writer that opens a whole log puts its two words in order, and loses nothing. */
function checkRecovery(memory: PatchedMemory, entries: number): void {
  const follower = new LogFollower(memory);
  recover(follower);
  const { nextIndex, nextSeqnum } = follower.header();
  mustEqual(nextSeqnum, nextIndex, 'next_seqnum after recovery');
  mustEqual(nextIndex, entries, 'next_index after recovery');
}

export const REPAIR_KIND: AnyKind = anyKind<LogImage>({
  name: 'damaged log',
  weight: 5,
  generate: damagedImage,
  run: repair,
  shrink: simplerImages,
  show: showImage,
});
