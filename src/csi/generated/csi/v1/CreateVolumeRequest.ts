// Original file: csi/csi.proto

import type { CapacityRangeInit as _csi_v1_CapacityRangeInit, CapacityRange as _csi_v1_CapacityRange } from '../../csi/v1/CapacityRange.ts';
import type { VolumeCapabilityInit as _csi_v1_VolumeCapabilityInit, VolumeCapability as _csi_v1_VolumeCapability } from '../../csi/v1/VolumeCapability.ts';
import type { VolumeContentSourceInit as _csi_v1_VolumeContentSourceInit, VolumeContentSource as _csi_v1_VolumeContentSource } from '../../csi/v1/VolumeContentSource.ts';
import type { TopologyRequirementInit as _csi_v1_TopologyRequirementInit, TopologyRequirement as _csi_v1_TopologyRequirement } from '../../csi/v1/TopologyRequirement.ts';

export interface CreateVolumeRequestInit {
  'name'?: (string);
  'capacity_range'?: (_csi_v1_CapacityRangeInit | null);
  'volume_capabilities'?: (_csi_v1_VolumeCapabilityInit)[];
  'parameters'?: ({[key: string]: string});
  'secrets'?: ({[key: string]: string});
  'volume_content_source'?: (_csi_v1_VolumeContentSourceInit | null);
  'accessibility_requirements'?: (_csi_v1_TopologyRequirementInit | null);
  'mutable_parameters'?: ({[key: string]: string});
}

export interface CreateVolumeRequest {
  'name': (string);
  'capacity_range': (_csi_v1_CapacityRange | null);
  'volume_capabilities': (_csi_v1_VolumeCapability)[];
  'parameters': ({[key: string]: string});
  'secrets': ({[key: string]: string});
  'volume_content_source': (_csi_v1_VolumeContentSource | null);
  'accessibility_requirements': (_csi_v1_TopologyRequirement | null);
  'mutable_parameters': ({[key: string]: string});
}
