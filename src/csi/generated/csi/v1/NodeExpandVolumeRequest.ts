// Original file: csi/csi.proto

import type { CapacityRangeInit as _csi_v1_CapacityRangeInit, CapacityRange as _csi_v1_CapacityRange } from '../../csi/v1/CapacityRange.ts';
import type { VolumeCapabilityInit as _csi_v1_VolumeCapabilityInit, VolumeCapability as _csi_v1_VolumeCapability } from '../../csi/v1/VolumeCapability.ts';

export interface NodeExpandVolumeRequestInit {
  'volume_id'?: (string);
  'volume_path'?: (string);
  'capacity_range'?: (_csi_v1_CapacityRangeInit | null);
  'staging_target_path'?: (string);
  'volume_capability'?: (_csi_v1_VolumeCapabilityInit | null);
  'secrets'?: ({[key: string]: string});
}

export interface NodeExpandVolumeRequest {
  'volume_id': (string);
  'volume_path': (string);
  'capacity_range': (_csi_v1_CapacityRange | null);
  'staging_target_path': (string);
  'volume_capability': (_csi_v1_VolumeCapability | null);
  'secrets': ({[key: string]: string});
}
