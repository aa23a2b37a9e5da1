import type { Node } from '../format/namespace.ts';

const EXTENTS = 'user.famfs.extents';
const LOG_INDEX = 'user.famfs.logindex';

const encoder = new TextEncoder();

/** Names of a node's extended attributes; the root, which no log entry made, has none. */
export function attributeNames(node: Node): readonly string[] {
  if (node.entryIndex < 0) return [];
  return node.kind === 'file' ? [EXTENTS, LOG_INDEX] : [LOG_INDEX];
}

/**
 * `user.famfs.extents`: the fmap as JSON, offsets and lengths in bytes.
 * `user.famfs.logindex`: the index of the log entry that made the node, in decimal.
 */
export function attributeValue(node: Node, name: string): Uint8Array | undefined {
  if (!attributeNames(node).includes(name)) return undefined;
  if (name === LOG_INDEX) return encoder.encode(String(node.entryIndex));
  return node.kind === 'file' ? encoder.encode(JSON.stringify(node.fmap)) : undefined;
}
