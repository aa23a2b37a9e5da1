import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../base/errors.ts';
import { ACCESS_MODES, type AccessMode } from '../csi/capability.ts';
import type { ApiClient } from '../kubernetes/api-client.ts';
import { isMissing } from '../kubernetes/api-fault.ts';
import type { Informer } from '../kubernetes/informer.ts';
import { PATHS, type PersistentVolume, type VolumeAttachment } from '../kubernetes/objects.ts';
import { SharedRead } from '../kubernetes/shared-read.ts';
import type { Attachment, Attachments, ListOptions } from './attachments.ts';
import type { KubernetesNodes } from './kubernetes-nodes.ts';

const RECORD = z.strictObject({
  volumeId: z.string().min(1),
  nodeId: z.string().min(1),
  readonly: z.boolean(),
  mode: z.enum(ACCESS_MODES),
});
/** Of an attachment that was detached, while its object is still there. */
const DETACHED = 'detached';

export interface KubernetesAttachmentsOptions {
  readonly client: ApiClient;
  readonly driverName: string;
  readonly nodes: KubernetesNodes;
  /** Of VolumeAttachments; answers what may be a little late. */
  readonly informer: Informer<VolumeAttachment>;
  /** Throws where another process decides on attachments. */
  readonly assertLeading: () => void;
}

/**
 * Attachments as Kubernetes records them. The external-attacher makes a VolumeAttachment, asks us,
 * and writes down afterwards that it is attached. In between, what we granted stands in an
 * annotation of that object, so it outlives this process, and no two nodes get what excludes each
 * other:
 * - an object with the annotation is attached in the way that the annotation says;
 * - one that is attached without it (another driver version did it, somebody removed it) is taken
 *   for attached in the widest way that its PersistentVolume permits;
 * - one that is neither is a wish, and excludes nothing.
 */
export class KubernetesAttachments implements Attachments {
  readonly #client: ApiClient;
  readonly #driverName: string;
  readonly #annotation: string;
  readonly #nodes: KubernetesNodes;
  readonly #informer: Informer<VolumeAttachment>;
  readonly #assertLeading: () => void;
  readonly #fresh: SharedRead<readonly VolumeAttachment[]>;

  constructor(options: KubernetesAttachmentsOptions) {
    const { client, driverName } = options;
    this.#client = client;
    this.#driverName = driverName;
    this.#annotation = `${driverName}/attachment`;
    this.#nodes = options.nodes;
    this.#informer = options.informer;
    this.#assertLeading = options.assertLeading;
    this.#fresh = new SharedRead(
      async () => (await client.list<VolumeAttachment>(PATHS.volumeAttachments)).items,
    );
  }

  async list({ mayLag = false }: ListOptions = {}): Promise<readonly Attachment[]> {
    const all =
      mayLag && this.#informer.isSynced
        ? [...this.#informer.items().values()]
        : await this.#fresh.read();
    const attachments = await Promise.all(this.#ours(all).map((one) => this.#attachmentOf(one)));
    return attachments.filter((one) => one !== undefined);
  }

  async add(attachment: Attachment): Promise<void> {
    const { volumeId, nodeId } = attachment;
    const found = await this.#find(volumeId, nodeId);
    if (found === undefined) {
      throw new Fault(
        'PRECONDITION',
        `volume ${volumeId}: no VolumeAttachment of ${this.#driverName} asks for it on node ` +
          `${nodeId}; under Kubernetes the external-attacher attaches volumes, by one`,
      );
    }
    const record = JSON.stringify(RECORD.parse({ ...attachment }));
    await this.#annotate(found, record);
  }

  async remove(volumeId: string, nodeId: string | undefined): Promise<void> {
    for (const one of this.#ours(await this.#fresh.read())) {
      const there = await this.#attachmentOf(one);
      if (there?.volumeId !== volumeId) continue;
      if (nodeId !== undefined && there.nodeId !== nodeId) continue;
      try {
        await this.#annotate(one, DETACHED);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
  }

  #ours(all: readonly VolumeAttachment[]): VolumeAttachment[] {
    return all.filter(({ spec }) => spec.attacher === this.#driverName);
  }

  /**
   * Only on the object that was looked at: another of the same name would be another wish. Requests
   * may take longer than a lease lasts: who has lost it meanwhile does not tell of a success. The
   * grant stands then, for who leads to take account of.
   */
  async #annotate({ metadata }: VolumeAttachment, value: string): Promise<void> {
    const { name, uid } = metadata;
    const patch = { metadata: { uid, annotations: { [this.#annotation]: value } } };
    this.#assertLeading();
    await this.#client.patch(PATHS.volumeAttachments, name, patch);
    this.#assertLeading();
  }

  /** How the object's volume is attached, or undefined where it is not. */
  async #attachmentOf(one: VolumeAttachment): Promise<Attachment | undefined> {
    const text = one.metadata.annotations?.[this.#annotation];
    if (text === DETACHED) return undefined;
    const record = text === undefined ? undefined : decodeRecord(text);
    if (record !== undefined) return record;
    if (text === undefined && one.status?.attached !== true) return undefined;
    const spec = await this.#volumeSpec(one);
    if (spec?.csi === undefined) return undefined;
    const nodeId = await this.#nodes.idOf(one.spec.nodeName);
    const readonly = spec.csi.readOnly === true;
    return { volumeId: spec.csi.volumeHandle, nodeId, readonly, mode: modeOf(spec) };
  }

  /** The object that asks for the volume on the node. */
  async #find(volumeId: string, nodeId: string): Promise<VolumeAttachment | undefined> {
    const nodeName = await this.#nodes.nameOf(nodeId);
    const asks = async (one: VolumeAttachment) => {
      if (one.spec.attacher !== this.#driverName || one.spec.nodeName !== nodeName) return false;
      return (await this.#volumeSpec(one))?.csi?.volumeHandle === volumeId;
    };
    // Most volumes have the name of their PersistentVolume; then the object's name is known.
    const guess = await this.#get(attachmentName(volumeId, this.#driverName, nodeName));
    if (guess !== undefined && (await asks(guess))) return guess;
    for (const one of await this.#fresh.read()) if (await asks(one)) return one;
    return undefined;
  }

  async #get(name: string): Promise<VolumeAttachment | undefined> {
    try {
      return await this.#client.get<VolumeAttachment>(PATHS.volumeAttachments, name);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #volumeSpec({ spec }: VolumeAttachment): Promise<PersistentVolume['spec'] | undefined> {
    const { persistentVolumeName: name, inlineVolumeSpec } = spec.source;
    if (name === undefined) return inlineVolumeSpec;
    try {
      return (await this.#client.get<PersistentVolume>(PATHS.persistentVolumes, name)).spec;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

/** As the attach-detach controller names them: pkg/volume/csi, getAttachmentName. */
function attachmentName(volume: string, driverName: string, nodeName: string): string {
  const hash = createHash('sha256').update(`${volume}${driverName}${nodeName}`).digest('hex');
  return `csi-${hash}`;
}

/** Undefined for what this class did not write. */
function decodeRecord(text: string): Attachment | undefined {
  try {
    const parsed = RECORD.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The widest of the modes that the external-attacher would have asked for. */
function modeOf({ accessModes = [] }: PersistentVolume['spec']): AccessMode {
  if (accessModes.includes('ReadWriteMany')) return 'MULTI_NODE_MULTI_WRITER';
  if (accessModes.includes('ReadOnlyMany')) return 'MULTI_NODE_READER_ONLY';
  if (accessModes.includes('ReadWriteOncePod')) return 'SINGLE_NODE_SINGLE_WRITER';
  return 'SINGLE_NODE_MULTI_WRITER';
}
