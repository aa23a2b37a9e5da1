// Original file: csi/csi.proto

import type { VolumeCapabilityInit as _csi_v1_VolumeCapabilityInit, VolumeCapability as _csi_v1_VolumeCapability } from '../../csi/v1/VolumeCapability.ts';

export interface _csi_v1_ValidateVolumeCapabilitiesResponse_ConfirmedInit {
  'volume_context'?: ({[key: string]: string});
  'volume_capabilities'?: (_csi_v1_VolumeCapabilityInit)[];
  'parameters'?: ({[key: string]: string});
  'mutable_parameters'?: ({[key: string]: string});
}

export interface _csi_v1_ValidateVolumeCapabilitiesResponse_Confirmed {
  'volume_context': ({[key: string]: string});
  'volume_capabilities': (_csi_v1_VolumeCapability)[];
  'parameters': ({[key: string]: string});
  'mutable_parameters': ({[key: string]: string});
}

export interface ValidateVolumeCapabilitiesResponseInit {
  'confirmed'?: (_csi_v1_ValidateVolumeCapabilitiesResponse_ConfirmedInit | null);
  'message'?: (string);
}

export interface ValidateVolumeCapabilitiesResponse {
  'confirmed': (_csi_v1_ValidateVolumeCapabilitiesResponse_Confirmed | null);
  'message': (string);
}
