import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type CsiClient, connectCsi } from '../../src/csi/client.ts';
import { type CheckReport, checkReport } from '../../src/format/check.ts';
import { type Extent, fmapExtents } from '../../src/format/extents.ts';
import { Mapping } from '../../src/native/mapping.ts';
import { createEmulatedDevice } from '../../src/pool/emulated-device.ts';
import { hostIdentity, systemUuid } from '../../src/pool/identity.ts';
import { LogFollower } from '../../src/pool/log-follower.ts';
import { mkfs } from '../../src/pool/mkfs.ts';
import { Pool } from '../../src/pool/pool.ts';
import { writerOf } from './log-writer.ts';
import { eventually, MAIN } from './test-cluster.ts';

const DYING_ADDON = join(__dirname, 'dying-addon.mjs');
export const POOL_NAME = 'p';

/** A formatted emulated fabric with no mount: what controllers and the command line work on. */
export class Fabric implements AsyncDisposable {
  readonly folder: string;
  readonly device: string;
  readonly #controllers: ControllerProcess[] = [];

  constructor(sizeBytes: number) {
    this.folder = mkdtempSync(join(tmpdir(), 'famfs-fabric-test-'));
    this.device = join('/dev/shm', basename(this.folder));
    createEmulatedDevice(this.device, sizeBytes);
    using memory = Mapping.open(this.device, { writable: true });
    mkfs(memory, { deviceName: 'test', systemUuid: systemUuid() });
    // This host has the log: what a process then stores first is its own.
    const writer = writerOf(new LogFollower(memory), { host: hostIdentity() });
    writer.appendHeld(() => ({ entries: [], result: undefined }));
    writer.closeHeld();
  }

  /** A controller process; one that dies after so many stores to the fabric, if told so. */
  async controller(dieAt?: number): Promise<ControllerProcess> {
    const name = `controller-${this.#controllers.length}`;
    const controller = new ControllerProcess(join(this.folder, name), this.device, dieAt);
    this.#controllers.push(controller);
    await eventually('the controller answers', () => controller.client.identity.probe({}));
    return controller;
  }

  /** What a check finds now. */
  check(): CheckReport {
    using memory = Mapping.open(this.device, { writable: false });
    const follower = new LogFollower(memory);
    return checkReport(follower.superblock, follower.header(), follower.replica);
  }

  /** What `famfs-csi check --json` prints and how it exits. */
  checkByCommand(): { report: CheckReport; exitCode: number | null } {
    const done = spawnSync(process.execPath, [MAIN, 'check', '--json', this.device]);
    return { report: JSON.parse(String(done.stdout)) as CheckReport, exitCode: done.status };
  }

  /** The pool opened for writing in this process, to prepare what a controller then finds. */
  open(): Pool {
    const options = { name: POOL_NAME, device: this.device, writable: true };
    return Pool.open({ ...options, systemUuid: systemUuid() });
  }

  /** The paths of all files, in the order of the log, and all extents, in that of the device. */
  contents(): { paths: string[]; extents: Extent[] } {
    using pool = this.open();
    const files = [...pool.replica.namespace.files()];
    const extents = files.flatMap(({ fmap }) => fmapExtents(fmap));
    return {
      paths: files.map(({ path }) => path),
      extents: extents.sort((a, b) => a.offset - b.offset),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of this.#controllers) await controller.kill();
    rmSync(this.device, { force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class ControllerProcess {
  readonly client: CsiClient;
  /** Resolves with the signal or exit code that ended it. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  constructor(path: string, device: string, dieAt: number | undefined) {
    const dying = dieAt === undefined ? [] : ['--import', DYING_ADDON];
    const command = ['controller', '--endpoint', `unix://${path}.sock`, '--state-dir', path];
    const pool = ['--pool', `${POOL_NAME}=${device}`];
    this.#child = spawn(process.execPath, [...dying, MAIN, ...command, ...pool], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, FAMFS_TEST_DIE_AT: String(dieAt) },
    });
    this.#child.stderr?.pipe(createWriteStream(`${path}.log`));
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    this.client = connectCsi(`${path}.sock`, { timeoutMs: 30_000 });
  }

  async kill(): Promise<void> {
    this.client.close();
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
