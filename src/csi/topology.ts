import type { Topology, TopologyInit } from './generated/csi/v1/Topology.ts';
import type { TopologyRequirement } from './generated/csi/v1/TopologyRequirement.ts';

const SHORT_UUID_CHARS = 8;

/**
 * The label that the nodes have which reach a pool's memory: `topology.<driver>/fabric-<the first
 * 8 digits of its fs uuid>`, with the value `true`. One label a pool, not one label with a name as
 * its value: a node may be on several fabrics.
 */
export function fabricKey(driverName: string, fsUuid: string): string {
  return `topology.${driverName}/fabric-${fsUuid.toLowerCase().slice(0, SHORT_UUID_CHARS)}`;
}

/** The topology of a node that reaches these pools, or of a volume in one. */
export function fabricTopology(driverName: string, fsUuids: Iterable<string>): TopologyInit {
  const keys = [...fsUuids].map((fsUuid) => fabricKey(driverName, fsUuid)).sort();
  return { segments: Object.fromEntries(keys.map((key) => [key, 'true'])) };
}

/** Whether the pool is reached from there; no topology at all is everywhere. */
export function isReachable(driverName: string, fsUuid: string, from: Topology | null): boolean {
  return from === null || from.segments[fabricKey(driverName, fsUuid)] === 'true';
}

/** Whether the pool is reached from one of the places that a request permits. */
export function isPermitted(
  driverName: string,
  fsUuid: string,
  requirement: TopologyRequirement | null,
): boolean {
  const places = requirement?.requisite.length ? requirement.requisite : requirement?.preferred;
  if (places === undefined || places.length === 0) return true;
  return places.some((place) => isReachable(driverName, fsUuid, place));
}
