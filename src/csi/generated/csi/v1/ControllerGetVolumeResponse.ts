// Original file: csi/csi.proto

import type { VolumeInit as _csi_v1_VolumeInit, Volume as _csi_v1_Volume } from '../../csi/v1/Volume.ts';
import type { VolumeConditionInit as _csi_v1_VolumeConditionInit, VolumeCondition as _csi_v1_VolumeCondition } from '../../csi/v1/VolumeCondition.ts';

export interface _csi_v1_ControllerGetVolumeResponse_VolumeStatusInit {
  'published_node_ids'?: (string)[];
  'volume_condition'?: (_csi_v1_VolumeConditionInit | null);
}

export interface _csi_v1_ControllerGetVolumeResponse_VolumeStatus {
  'published_node_ids': (string)[];
  'volume_condition': (_csi_v1_VolumeCondition | null);
}

export interface ControllerGetVolumeResponseInit {
  'volume'?: (_csi_v1_VolumeInit | null);
  'status'?: (_csi_v1_ControllerGetVolumeResponse_VolumeStatusInit | null);
}

export interface ControllerGetVolumeResponse {
  'volume': (_csi_v1_Volume | null);
  'status': (_csi_v1_ControllerGetVolumeResponse_VolumeStatus | null);
}
