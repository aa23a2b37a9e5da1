// Original file: csi/csi.proto

import type { TopologyInit as _csi_v1_TopologyInit, Topology as _csi_v1_Topology } from '../../csi/v1/Topology.ts';

export interface TopologyRequirementInit {
  'requisite'?: (_csi_v1_TopologyInit)[];
  'preferred'?: (_csi_v1_TopologyInit)[];
}

export interface TopologyRequirement {
  'requisite': (_csi_v1_Topology)[];
  'preferred': (_csi_v1_Topology)[];
}
