// Original file: csi/csi.proto

import type { VolumeConditionInit as _csi_v1_VolumeConditionInit, VolumeCondition as _csi_v1_VolumeCondition } from '../../csi/v1/VolumeCondition.ts';
import type { VolumeInit as _csi_v1_VolumeInit, Volume as _csi_v1_Volume } from '../../csi/v1/Volume.ts';

export interface _csi_v1_ListVolumesResponse_EntryInit {
  'volume'?: (_csi_v1_VolumeInit | null);
  'status'?: (_csi_v1_ListVolumesResponse_VolumeStatusInit | null);
}

export interface _csi_v1_ListVolumesResponse_Entry {
  'volume': (_csi_v1_Volume | null);
  'status': (_csi_v1_ListVolumesResponse_VolumeStatus | null);
}

export interface _csi_v1_ListVolumesResponse_VolumeStatusInit {
  'published_node_ids'?: (string)[];
  'volume_condition'?: (_csi_v1_VolumeConditionInit | null);
}

export interface _csi_v1_ListVolumesResponse_VolumeStatus {
  'published_node_ids': (string)[];
  'volume_condition': (_csi_v1_VolumeCondition | null);
}

export interface ListVolumesResponseInit {
  'entries'?: (_csi_v1_ListVolumesResponse_EntryInit)[];
  'next_token'?: (string);
}

export interface ListVolumesResponse {
  'entries': (_csi_v1_ListVolumesResponse_Entry)[];
  'next_token': (string);
}
