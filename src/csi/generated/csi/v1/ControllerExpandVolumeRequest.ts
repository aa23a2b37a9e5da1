// Original file: csi/csi.proto

import type { CapacityRangeInit as _csi_v1_CapacityRangeInit, CapacityRange as _csi_v1_CapacityRange } from '../../csi/v1/CapacityRange.ts';
import type { VolumeCapabilityInit as _csi_v1_VolumeCapabilityInit, VolumeCapability as _csi_v1_VolumeCapability } from '../../csi/v1/VolumeCapability.ts';

export interface ControllerExpandVolumeRequestInit {
  'volume_id'?: (string);
  'capacity_range'?: (_csi_v1_CapacityRangeInit | null);
  'secrets'?: ({[key: string]: string});
  'volume_capability'?: (_csi_v1_VolumeCapabilityInit | null);
}

export interface ControllerExpandVolumeRequest {
  'volume_id': (string);
  'capacity_range': (_csi_v1_CapacityRange | null);
  'secrets': ({[key: string]: string});
  'volume_capability': (_csi_v1_VolumeCapability | null);
}
