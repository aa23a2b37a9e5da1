// Original file: csi/csi.proto

import type { VolumeUsageInit as _csi_v1_VolumeUsageInit, VolumeUsage as _csi_v1_VolumeUsage } from '../../csi/v1/VolumeUsage.ts';
import type { VolumeConditionInit as _csi_v1_VolumeConditionInit, VolumeCondition as _csi_v1_VolumeCondition } from '../../csi/v1/VolumeCondition.ts';

export interface NodeGetVolumeStatsResponseInit {
  'usage'?: (_csi_v1_VolumeUsageInit)[];
  'volume_condition'?: (_csi_v1_VolumeConditionInit | null);
}

export interface NodeGetVolumeStatsResponse {
  'usage': (_csi_v1_VolumeUsage)[];
  'volume_condition': (_csi_v1_VolumeCondition | null);
}
