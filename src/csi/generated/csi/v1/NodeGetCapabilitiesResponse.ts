// Original file: csi/csi.proto

import type { NodeServiceCapabilityInit as _csi_v1_NodeServiceCapabilityInit, NodeServiceCapability as _csi_v1_NodeServiceCapability } from '../../csi/v1/NodeServiceCapability.ts';

export interface NodeGetCapabilitiesResponseInit {
  'capabilities'?: (_csi_v1_NodeServiceCapabilityInit)[];
}

export interface NodeGetCapabilitiesResponse {
  'capabilities': (_csi_v1_NodeServiceCapability)[];
}
