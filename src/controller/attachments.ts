import type { AccessMode } from '../csi/capability.ts';

/** A volume that a node may have mapped: from ControllerPublish to ControllerUnpublish. */
export interface Attachment {
  readonly volumeId: string;
  readonly nodeId: string;
  /** The node may not write, whether by the request, the access mode or a mount flag. */
  readonly readonly: boolean;
  readonly mode: AccessMode;
}

export interface ListOptions {
  /** What is decided on must be as it is now; what is only told may be a little late. */
  readonly mayLag?: boolean;
}

/** The record of attachments; it outlives the controller from when `add` or `remove` returns. */
export interface Attachments {
  list(options?: ListOptions): readonly Attachment[] | Promise<readonly Attachment[]>;
  /** Replaces what is there for the same volume and node. */
  add(attachment: Attachment): Promise<void>;
  /** Every attachment of the volume to the node, or to all nodes; fine when there is none. */
  remove(volumeId: string, nodeId: string | undefined): Promise<void>;
}
