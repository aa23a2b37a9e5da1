import type { Command } from 'commander';
import { Fault } from '../../base/errors.ts';
import { formatSize } from '../../base/numbers.ts';
import type { Problem } from '../../format/replica.ts';
import { Mapping } from '../../native/mapping.ts';
import { systemUuid } from '../../pool/identity.ts';
import { RawLog } from '../../pool/raw-log.ts';
import { repairDevice } from '../../pool/repair.ts';
import { type Diagnosis, diagnose, type RepairWish, type Way } from '../../pool/repair-plan.ts';
import type { LostNode } from '../../pool/repair-report.ts';
import { restoreDevice } from '../../pool/restore.ts';
import type { Fate } from '../../pool/stand-ins.ts';
import { integerArgument, uuidArgument } from '../options.ts';
import { EXIT_PROBLEMS, jsonOption, report, userCommand } from '../program.ts';

const ENTRIES_MAX = 2 ** 32;

interface RepairArguments extends RepairWish {
  readonly backup?: string;
  readonly restore?: string;
  readonly systemUuid?: string;
  readonly json?: boolean;
}

export function repairCommand(): Command {
  return userCommand(
    'repair',
    'say what is wrong with the log of a pool, and what each way of repair would lose; do it',
  )
    .argument('<device>', 'the primary device of the pool, or its file')
    .option('--cut', 'end the log before its first damaged entry; all after it is lost')
    .option('--skip', 'replace damaged entries by lost+found-<index>; their memory stays reserved')
    .option('--renumber', "give entries that are whole their place's number; nothing is lost")
    .option('--header', "write the log header's fixed fields anew, from the superblock")
    .option(
      '--entries <n>',
      'how many entries the log has, where its header does not tell',
      integerArgument(0, ENTRIES_MAX),
    )
    .option('--unreserved', 'skip also an entry whose memory cannot be told')
    .option('--backup <file>', 'new file for a copy of superblock and log; without it no repair')
    .option('--restore <file>', 'put back the log from a copy that --backup made')
    .option('--system-uuid <uuid>', "this writer's identity (default: this host's)", uuidArgument)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nWithout --cut, --skip, --renumber, --header or --restore nothing is written.' +
        '\nExit codes: 0 clean, or repaired; 1 damaged, or refused; 2 unusable or wrong use.',
    )
    .action(runRepair);
}

async function runRepair(device: string, options: RepairArguments): Promise<void> {
  const { restore, backup } = options;
  const isRepair = options.cut || options.skip || options.renumber || options.header;
  if (!isRepair && restore === undefined) return runDiagnosis(device, options);
  if (backup === undefined) {
    throw new Fault(
      'INVALID',
      '--backup: missing, expected a new file for a copy of superblock and log, outside the pool',
    );
  }
  const identity = systemUuid(options.systemUuid);
  if (restore === undefined) return reportRepair(device, options, backup, identity);
  if (isRepair) {
    throw new Fault('INVALID', '--restore: goes with no other way of repair; give one of them');
  }
  const outcome = await restoreDevice(device, restore, backup, identity);
  const { entriesBefore, entries, lost, returned } = outcome;
  report(options.json, { device, ...outcome, backup }, [
    `${device}: the log of ${restore} is back, with ${entriesText(entries)}; it had ` +
      `${entriesBefore}`,
    ...listed(lost, returned),
    ...AFTER_CUT,
    `what was there until now: ${backup}`,
  ]);
}

async function reportRepair(
  device: string,
  options: RepairArguments,
  backup: string,
  identity: string,
): Promise<void> {
  const { fsUuid, plan, remaining } = await repairDevice(device, options, backup, identity);
  const { problems, entries, lost, returned, fates } = plan;
  const done = { device, fsUuid, problems, entries, lost, returned, fates, remaining, backup };
  report(options.json, done, [
    `${device}: repaired; its log has ${entriesText(entries)}`,
    ...fates.map(fateLine),
    ...listed(lost, returned),
    ...remaining.map((problem) => `  remains: ${problemText(problem)}`),
    ...(options.cut ? AFTER_CUT : fates.length > 0 ? AFTER_SKIP : []),
    `what was there until now: ${backup}`,
  ]);
}

function runDiagnosis(device: string, options: RepairArguments): void {
  using memory = Mapping.open(device, { writable: false });
  const log = new RawLog(memory);
  const diagnosis = diagnose(log, options);
  const { fsUuid } = log.superblock;
  report(options.json, { device, fsUuid, ...diagnosis }, describe(device, diagnosis));
  if (diagnosis.problems.length > 0) process.exitCode = EXIT_PROBLEMS;
}

function describe(device: string, diagnosis: Diagnosis): string[] {
  const { problems, entries, unrevealed, ways } = diagnosis;
  const whole = counted(unrevealed, 'whole entry stands', 'whole entries stand');
  const note =
    `  note: ${whole} behind the end of the log, where nobody reads; the next appends write over ` +
    'that place';
  const behind = unrevealed === 0 ? [] : [note];
  if (problems.length === 0) {
    return [`${device}: nothing to repair in its ${entriesText(entries ?? 0)}`, ...behind];
  }
  return [
    `${device}: ${counted(problems.length, 'problem', 'problems')} in ` +
      (entries === null ? 'an unknown number of entries' : entriesText(entries)),
    ...problems.map((problem) => `  ${problemText(problem)}`),
    ...behind,
    ...ways.flatMap(describeWay),
    'nothing was written; choose a way, and give --backup FILE for a copy of superblock and log',
  ];
}

function problemText({ index, code, message }: Problem): string {
  return index < 0 ? `${code}: ${message}` : `entry ${index}: ${code}: ${message}`;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function entriesText(entries: number): string {
  return counted(entries, 'entry', 'entries');
}

const WHAT: Readonly<Record<Way['way'], string>> = {
  header: "writes the header's fixed fields and next_seqnum anew",
  cut: 'ends the log before the first damaged entry',
  skip: 'puts another entry in place of each damaged one',
  renumber: 'gives whole entries the number of their place',
};

function describeWay({ way, refusal, entries, lost, returned, fates }: Way): string[] {
  return [
    `  --${way}: ${WHAT[way]}; the log then has ${entriesText(entries)}`,
    ...(refusal === null ? [] : [`    not as it is: ${refusal}`]),
    ...fates.map((fate) => `  ${fateLine(fate)}`),
    ...(lost.length + returned.length === 0 ? ['    lost: nothing'] : []),
    ...listed(lost, returned).map((line) => `  ${line}`),
  ];
}

function fateLine({ index, isKept, becomes, reservedBytes, isMemoryKnown }: Fate): string {
  const what = isKept ? 'stays' : 'becomes';
  const memory = reservedBytes > 0 ? `, ${formatSize(reservedBytes)} reserved` : '';
  const doubt = isMemoryKnown ? '' : '; it may have had memory that cannot be told';
  return `  entry ${index}: ${what} ${JSON.stringify(becomes)}${memory}${doubt}`;
}

function listed(lost: readonly LostNode[], returned: readonly LostNode[]): string[] {
  return [
    ...lost.map((node) => `  lost: ${nodeText(node)}`),
    ...returned.map((node) => `  comes back, though it was deleted: ${nodeText(node)}`),
  ];
}

/** Paths come from a log, which may hold anything: quoted, so that no terminal is driven by it. */
function nodeText({ index, type, path, sizeBytes, note }: LostNode): string {
  const name = path === null ? '(its path cannot be read)' : JSON.stringify(path);
  const size = type === 'directory' || sizeBytes === null ? '' : `, ${sizeBytes} bytes`;
  return `${type} ${name}${size}, entry ${index}${note === null ? '' : `; ${note}`}`;
}

const AFTER_SKIP = [
  'controllers and mounts that had stopped at the damage go on by themselves; those that had read',
  'past it show skipped files under their old names until they are restarted',
];
const AFTER_CUT = [
  'the memory of what is lost is free now: before any volume is made, restart every controller and',
  "every mount's server that had read past this place; see docs/operations/repair.md",
];
