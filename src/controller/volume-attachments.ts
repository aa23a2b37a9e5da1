import { Fault } from '../base/errors.ts';
import type { KeyedLock } from '../base/keyed-lock.ts';
import { type AccessMode, type DataPathDemand, isSingleNode } from '../csi/capability.ts';
import type { Attachment, Attachments } from './attachments.ts';
import type { Nodes } from './nodes.ts';
import { lockOf, type Volumes } from './volumes.ts';

export interface NewAttachment extends Attachment {
  readonly dataPath: DataPathDemand;
}

export interface VolumeAttachmentsOptions {
  readonly volumes: Volumes;
  readonly attachments: Attachments;
  readonly nodes: Nodes;
  /** The same as `Volumes` has. */
  readonly locks: KeyedLock;
}

/**
 * Which nodes hold which volumes, and which more may:
 * - a volume in a SINGLE_NODE mode is on one node;
 * - one node writes, unless the mode says MULTI_WRITER and the data path is dax, where there is no
 *   page cache that another node's writes would not reach. That counts for volumes of other ids too
 *   that have files in common with it, by a static handle.
 */
export class VolumeAttachments {
  readonly #volumes: Volumes;
  readonly #attachments: Attachments;
  readonly #nodes: Nodes;
  readonly #locks: KeyedLock;

  constructor(options: VolumeAttachmentsOptions) {
    this.#volumes = options.volumes;
    this.#attachments = options.attachments;
    this.#nodes = options.nodes;
    this.#locks = options.locks;
  }

  /**
   * Idempotent. NOT_FOUND for an unknown volume or node, EXISTS when the node has it in another
   * way, PRECONDITION naming the node that holds it in a way that excludes this one.
   */
  attach(wanted: NewAttachment): Promise<void> {
    const { volumeId, nodeId } = wanted;
    return this.#locks.run(lockOf(volumeId), async () => {
      this.#volumes.get(volumeId);
      if (!(await this.#nodes.has(nodeId))) {
        throw new Fault('NOT_FOUND', `node ${nodeId}: not a node of this driver; check node_id`);
      }
      const all = await this.#attachments.list();
      const held = all.filter((one) => this.#volumes.overlap(one.volumeId, volumeId));
      const own = held.filter((one) => one.volumeId === volumeId);
      const same = own.find((one) => one.nodeId === nodeId);
      if (same !== undefined) checkSame(same, wanted);
      // Also when it is there already: a process that led before may have left it half-made.
      for (const other of own) if (other !== same) checkNodes(other, wanted);
      for (const other of held) if (other.nodeId !== nodeId) checkWriters(other, wanted);
      if (same !== undefined) return;
      const { dataPath: _, ...attachment } = wanted;
      await this.#attachments.add(attachment);
    });
  }

  /** From one node, or from all; fine when there is nothing to detach. */
  detach(volumeId: string, nodeId: string | undefined): Promise<void> {
    return this.#locks.run(lockOf(volumeId), () => this.#attachments.remove(volumeId, nodeId));
  }

  /** The ids of the nodes that hold each volume. */
  async nodesByVolume(): Promise<ReadonlyMap<string, readonly string[]>> {
    const nodes = new Map<string, string[]>();
    for (const { volumeId, nodeId } of await this.#attachments.list({ mayLag: true })) {
      const known = nodes.get(volumeId);
      if (known === undefined) nodes.set(volumeId, [nodeId]);
      else known.push(nodeId);
    }
    return nodes;
  }
}

function checkSame(there: Attachment, wanted: Attachment): void {
  if (there.readonly === wanted.readonly && there.mode === wanted.mode) return;
  throw new Fault(
    'EXISTS',
    `volume ${there.volumeId}: attached to ${there.nodeId} as ${describe(there)}, this request ` +
      `wants ${describe(wanted)}; detach it first`,
  );
}

function checkNodes(other: Attachment, wanted: NewAttachment): void {
  const { volumeId } = wanted;
  const single = [wanted, other].find((one) => isSingleNode(one.mode));
  if (single !== undefined) {
    throw new Fault(
      'PRECONDITION',
      `volume ${volumeId}: attached to ${other.nodeId}, and ${single.mode} permits one node; ` +
        'detach it there, or use a MULTI_NODE access mode',
    );
  }
}

function checkWriters(other: Attachment, wanted: NewAttachment): void {
  const { volumeId, mode, dataPath } = wanted;
  if (wanted.readonly || other.readonly) return;
  if (dataPath !== 'dax' || !isMultiWriter(mode) || !isMultiWriter(other.mode)) {
    const reason =
      dataPath === 'dax'
        ? `the access modes ${mode} and ${other.mode} permit one writing node`
        : `with dataPath ${dataPath} one node at a time may write`;
    throw new Fault(
      'PRECONDITION',
      `volume ${volumeId}: attached writable to ${other.nodeId}` +
        `${other.volumeId === volumeId ? '' : ` as ${other.volumeId}`}, and ${reason}; detach it ` +
        'there, or attach it read-only here',
    );
  }
}

function isMultiWriter(mode: AccessMode): boolean {
  return mode === 'MULTI_NODE_MULTI_WRITER';
}

function describe({ mode, readonly }: Attachment): string {
  return `${mode}, ${readonly ? 'read-only' : 'writable'}`;
}
